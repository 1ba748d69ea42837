// What a Collector says of itself, in its own counters. Source of the names:
// opentelemetry-collector 0.159.0, docs on internal telemetry; a `_total` suffix and the scope
// labels depend on its version, so both spellings are read and labels are summed over. Pure;
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "telemetry/prometheus/text.h"

namespace touchstone::conformance {

/// Sum over everything but `labels`; with or without `_total`. nullopt: no such counter.
std::optional<int64_t> collector_counter(const telemetry::MetricsPage& page,
                                         const std::string& name,
                                         const telemetry::Labels& labels = {});

/// The values of `label` in all samples of the counter that have these labels too.
std::set<std::string> collector_labels(const telemetry::MetricsPage& page, const std::string& name,
                                       const std::string& label,
                                       const telemetry::Labels& with = {});

/// Spans that a processor took out (filter, sampling), from in minus out.
int64_t removed_by_processor(const telemetry::MetricsPage& page, const std::string& processor);
/// The same of all of them.
int64_t removed_by_processors(const telemetry::MetricsPage& page);

/// A counter of spans that go no further, in the order of their way.
struct CollectorLoss {
  const char* name;   ///< "otelcol_receiver_refused_spans"
  const char* label;  ///< which names the part: "receiver"
  const char* what;   ///< for sentences: "refused by receiver "
};
std::span<const CollectorLoss> collector_losses();

}  // namespace touchstone::conformance
