// The Collector's own counters: spans refused, dropped, not queued, not sent, still inside.
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

/// Adds to the first sample of a counter, or makes it with `label`.
void add(Evidence& evidence, const std::string& name, const telemetry::Labels& label, double more) {
  if (!evidence.collector_metrics) return;
  for (telemetry::MetricFamily& family : evidence.collector_metrics->families) {
    for (telemetry::Sample& sample : family.samples) {
      if (sample.name != name && sample.name != name + "_total") continue;
      sample.value += more;
      return;
    }
  }
  evidence.collector_metrics->families.push_back({name, "counter", "", {{name, label, more}}});
}

std::vector<Mutant> changed(const Good& good, const std::string& name,
                            const telemetry::Labels& label, double more) {
  if (!good.evidence().collector_metrics) return {};
  return {{name, [=](Evidence& evidence) { add(evidence, name, label, more); }}};
}

std::vector<Mutant> accepted_fewer(const Good& good) {
  return changed(good, "otelcol_receiver_accepted_spans", {{"receiver", "otlp"}}, -1);
}
std::vector<Mutant> accepted_more(const Good& good) {
  return changed(good, "otelcol_receiver_accepted_spans", {{"receiver", "otlp"}}, 5);
}
std::vector<Mutant> refused(const Good& good) {
  return changed(good, "otelcol_receiver_refused_spans", {{"receiver", "otlp"}}, 1);
}
std::vector<Mutant> failed_behind(const Good& good) {
  return changed(good, "otelcol_receiver_failed_spans", {{"receiver", "otlp"}}, 1);
}
std::vector<Mutant> processor_refused(const Good& good) {
  return changed(good, "otelcol_processor_refused_spans", {{"processor", "memory_limiter"}}, 1);
}
std::vector<Mutant> processor_dropped(const Good& good) {
  return changed(good, "otelcol_processor_dropped_spans", {{"processor", "batch"}}, 1);
}
std::vector<Mutant> not_queued(const Good& good) {
  return changed(good, "otelcol_exporter_enqueue_failed_spans", {{"exporter", "file"}}, 1);
}
std::vector<Mutant> not_sent(const Good& good) {
  return changed(good, "otelcol_exporter_send_failed_spans", {{"exporter", "file"}}, 1);
}
std::vector<Mutant> still_inside(const Good& good) {
  return changed(good, "otelcol_exporter_sent_spans", {{"exporter", "file"}}, -1);
}

std::vector<Mutant> silent(const Good& good) {
  if (!good.evidence().collector_metrics) return {};
  return {{"the page", [](Evidence& evidence) {
             if (evidence.collector_metrics) evidence.collector_metrics->families.clear();
           }}};
}

constexpr OperatorRow kRows[] = {
    {"collector.accepted_fewer", "the Collector accepted fewer spans than are owed", kWithAll,
     accepted_fewer, kWithAll},
    {"collector.accepted_more", "the Collector accepted more than it sent", kWithAll, accepted_more,
     kWithAll},
    {"collector.refused", "the Collector's receiver refused a span", kWithAll, refused, kWithAll},
    {"collector.failed", "a span failed behind the Collector's receiver", kWithAll, failed_behind,
     kWithAll},
    {"collector.processor_refused", "a processor refused a span", kWithAll, processor_refused,
     kWithAll},
    {"collector.processor_dropped", "a processor dropped a span", kWithAll, processor_dropped,
     kWithAll},
    {"collector.not_queued", "an exporter's queue was full", kWithAll, not_queued, kWithAll},
    {"collector.not_sent", "an exporter failed to send a span", kWithAll, not_sent, kWithAll},
    {"collector.inside", "a span is still inside the Collector", kWithAll, still_inside, kWithAll},
    {"collector.silent", "the Collector's page has no counters", kWithAll, silent, kWithAll}};

}  // namespace

OperatorTable collector_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
