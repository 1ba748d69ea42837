// Metrics pages of servers that served before, and of other Collectors.
#include "conformance/mutate/variant.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::MetricFamily;
using telemetry::MetricsPage;
using telemetry::Sample;

/// As if the server had served all of the page's requests once before.
void double_counts(MetricsPage& page, const MetricsPage& by) {
  for (MetricFamily& family : page.families) {
    if (family.type != "counter" && family.type != "histogram") continue;
    for (Sample& sample : family.samples) {
      sample.value += by.value(sample.name, sample.labels).value_or(0);
    }
  }
}

bool served_before(const Good&, Evidence& evidence) {
  if (!evidence.metrics_before) return false;
  const MetricsPage after = *evidence.metrics;
  if (evidence.metrics_before->families.empty()) {
    evidence.metrics_before = after;
  } else {
    double_counts(*evidence.metrics_before, after);
  }
  double_counts(*evidence.metrics, after);
  return true;
}

bool nobody_looked_before(const Good&, Evidence& evidence) {
  const MetricsPage after = *evidence.metrics;
  double_counts(*evidence.metrics, after);
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
