// What the harness writes behind the Collector's own counters: the parts of its configuration's
// trace pipelines, which the counters do not tell apart. A gauge of value 1 for each part.
#pragma once

namespace touchstone::conformance {

/// Labels: pipeline ("traces", "traces/audit"), part ("processor", "exporter", or "connector" for a
/// pipeline that another one feeds), name ("filter/pii").
inline constexpr char kCollectorPipelineFamily[] = "touchstone_collector_pipeline";

}  // namespace touchstone::conformance
