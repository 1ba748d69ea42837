// Metrics pages of servers that served before, and of other Collectors.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "conformance/mutate/variant.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::MetricFamily;
using telemetry::MetricsPage;
using telemetry::Sample;

bool counts(const MetricFamily& family) {
  return family.type == "counter" || family.type == "histogram";
}

/// As if the server had served all of the page's requests once before.
void double_counts(MetricsPage& page) {
  for (MetricFamily& family : page.families) {
    if (!counts(family)) continue;
    for (Sample& sample : family.samples) sample.value *= 2;
  }
}

/// Adds what `more` counted, series that the page has not yet included.
void add_counts(MetricsPage& page, const MetricsPage& more) {
  for (const MetricFamily& family : more.families) {
    if (!counts(family)) continue;
    auto known = std::find_if(page.families.begin(), page.families.end(),
                              [&](const MetricFamily& each) { return each.name == family.name; });
    if (known == page.families.end())
      known = page.families.insert(known, {family.name, family.type, family.help, {}});
    std::map<std::pair<std::string, telemetry::Labels>, Sample*> samples;
    for (Sample& sample : known->samples) samples[{sample.name, sample.labels}] = &sample;
    std::vector<Sample> added;
    for (const Sample& sample : family.samples) {
      const auto found = samples.find({sample.name, sample.labels});
      if (found == samples.end()) {
        added.push_back(sample);
      } else {
        found->second->value += sample.value;
      }
    }
    known->samples.insert(known->samples.end(), added.begin(), added.end());
  }
}

bool served_before(const Good&, Evidence& evidence) {
  if (!evidence.metrics_before) return false;
  add_counts(*evidence.metrics_before, *evidence.metrics);
  double_counts(*evidence.metrics);
  return true;
}

bool nobody_looked_before(const Good&, Evidence& evidence) {
  double_counts(*evidence.metrics);
  evidence.metrics_before.reset();
  return true;
}

bool more_families(const Good&, Evidence& evidence) {
  evidence.metrics->families.push_back(
      {"python_gc_objects_collected_total",
       "counter",
       "",
       {{"python_gc_objects_collected_total", {{"generation", "0"}}, 12}}});
  evidence.metrics->families.push_back(
      {"process_resident_memory_bytes", "gauge", "", {{"process_resident_memory_bytes", {}, 1e9}}});
  return true;
}

bool total_suffix(const Good&, Evidence& evidence) {
  if (!evidence.collector_metrics) return false;
  for (MetricFamily& family : evidence.collector_metrics->families) {
    for (Sample& sample : family.samples) {
      if (sample.name.ends_with("_spans")) sample.name += "_total";
    }
  }
  return true;
}

/// A filter took out spans of somebody else: accepted more, passed on as many.
bool filtered(const Good&, Evidence& evidence) {
  if (!evidence.collector_metrics) return false;
  for (MetricFamily& family : evidence.collector_metrics->families) {
    for (Sample& sample : family.samples) {
      const bool filter = sample.name.starts_with("otelcol_processor_incoming_items") &&
                          sample.labels["processor"].starts_with("filter") &&
                          sample.labels["otel_signal"] == "traces";
      if (filter || sample.name.starts_with("otelcol_receiver_accepted_spans")) sample.value += 8;
    }
  }
  return true;
}

constexpr VariantRow kRows[] = {
    {"page.served_before", "a server that had served before", served_before, kWithMetrics},
    {"page.no_before", "the same, and nobody looked before", nobody_looked_before, kWithMetrics},
    {"page.more", "families of the process", more_families, kWithMetrics},
    {"page.collector_total", "a Collector whose counters end in _total", total_suffix, kWithAll},
    {"page.collector_filter", "a Collector that filtered spans of others", filtered, kWithAll}};

}  // namespace

VariantTable page_variants() { return kRows; }

}  // namespace touchstone::conformance::mutate
