#include "telemetry/export/exporter_metrics.h"

#include "telemetry/prometheus/registry.h"

namespace touchstone::telemetry {

void render_exporter_metrics(const ExporterCounters& counters, std::string& page) {
  using Type = PrometheusRegistry::Type;
  PrometheusRegistry registry;
  const auto add = [&](Type type, const char* name, const char* help, int64_t value) {
    const auto family = registry.add_family(
        {.type = type, .name = std::string("touchstone_") + name, .help = help, .created = false});
    registry.set(registry.add_series(family, {}, 0), static_cast<double>(value));
  };
  add(Type::kCounter, "spans_submitted", "Spans that were made.", counters.submitted);
  add(Type::kCounter, "spans_exported", "Spans that the receiver acknowledged.", counters.exported);
  add(Type::kCounter, "spans_rejected", "Spans that the receiver refused of what it took.",
      counters.rejected);
  add(Type::kCounter, "spans_failed", "Spans that could not be delivered.", counters.failed);
  add(Type::kCounter, "spans_dropped", "Spans for which there was no room or no time.",
      counters.dropped);
  add(Type::kCounter, "span_export_failures", "Sends that did not deliver; retries may follow.",
      counters.failed_attempts);
  add(Type::kGauge, "spans_pending", "Spans that wait to be delivered.", counters.pending);
  add(Type::kGauge, "span_spool_bytes", "Bytes of the spool on disk.", counters.spool_bytes);
  registry.render(registry.values(), page);
}

}  // namespace touchstone::telemetry
