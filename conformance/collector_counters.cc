#include "conformance/collector_counters.h"

#include <algorithm>
#include <cmath>

namespace touchstone::conformance {

using telemetry::Labels;
using telemetry::MetricsPage;

std::optional<int64_t> collector_counter(const MetricsPage& page, const std::string& name,
                                         const Labels& labels) {
  for (const std::string& spelling : {name, name + "_total"}) {
    if (const auto sum = page.sum(spelling, labels)) return std::llround(*sum);
  }
  return std::nullopt;
}

std::set<std::string> collector_labels(const MetricsPage& page, const std::string& name,
                                       const std::string& label, const Labels& with) {
  std::set<std::string> values;
  for (const telemetry::MetricFamily& family : page.families) {
    for (const telemetry::Sample& sample : family.samples) {
      if (sample.name != name && sample.name != name + "_total") continue;
      const auto found = sample.labels.find(label);
      const bool has_all = std::all_of(with.begin(), with.end(), [&](const auto& wanted) {
        const auto other = sample.labels.find(wanted.first);
        return other != sample.labels.end() && other->second == wanted.second;
      });
      if (found != sample.labels.end() && has_all) values.insert(found->second);
    }
  }
  return values;
}

int64_t removed_by_processor(const MetricsPage& page, const std::string& processor) {
  const Labels labels = {{"processor", processor}, {"otel_signal", "traces"}};
  const auto in = collector_counter(page, "otelcol_processor_incoming_items", labels);
  const auto out = collector_counter(page, "otelcol_processor_outgoing_items", labels);
  return in && out ? *in - *out : 0;
}

int64_t removed_by_processors(const MetricsPage& page) {
  int64_t removed = 0;
  for (const std::string& processor :
       collector_labels(page, "otelcol_processor_incoming_items", "processor")) {
    removed += removed_by_processor(page, processor);
  }
  return removed;
}

std::span<const CollectorLoss> collector_losses() {
  static constexpr CollectorLoss kLosses[] = {
      {"otelcol_receiver_refused_spans", "receiver", "refused by receiver "},
      {"otelcol_receiver_failed_spans", "receiver", "failed behind receiver "},
      {"otelcol_processor_refused_spans", "processor", "refused by processor "},
      {"otelcol_processor_dropped_spans", "processor", "dropped by processor "},
      {"otelcol_exporter_enqueue_failed_spans", "exporter", "not queued by exporter "},
      {"otelcol_exporter_send_failed_spans", "exporter", "not sent by exporter "}};
  return kLosses;
}

}  // namespace touchstone::conformance
