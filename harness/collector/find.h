// Finding a real OpenTelemetry Collector that has the components a configuration needs.
// Thread-compatible.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/collector/config.h"
#include "harness/process/child.h"

namespace touchstone::harness {

/// The version that `touchstone collector build` makes.
inline constexpr char kCollectorVersion[] = "0.155.0";

/// Where to look, in this order. The command line fills it from flags and environment.
struct CollectorSearch {
  std::optional<std::string> flag;         ///< --collector
  std::optional<std::string> environment;  ///< TOUCHSTONE_COLLECTOR
  std::string path;                        ///< PATH
  std::string cache;                       ///< ${XDG_CACHE_HOME:-~/.cache}/touchstone
};

struct CollectorBinary {
  std::string path;
  std::string version;
  std::string found_by;  ///< "--collector", "TOUCHSTONE_COLLECTOR", "PATH", "the cache"
  Components components;
};

/// <cache>/collector/<version>/otelcol
std::string cached_collector_path(const std::string& cache);

/// Asks one binary what it is. ERRORS: kUnavailable when it is not a working Collector.
Result<CollectorBinary> inspect_collector(const std::string& path, const Supervision& supervision);

/// The first Collector that has every component of `needed`. One that was named by flag or
/// environment is the only candidate. ERRORS: kUnavailable with every candidate and what it lacks.
Result<CollectorBinary> find_collector(const CollectorSearch& search, const Components& needed,
                                       const Supervision& supervision);

/// Runs `otelcol validate` on a configuration. ERRORS: kInvalidArgument with what it said.
Status validate_collector_config(const CollectorBinary& collector, const std::string& config,
                                 const std::map<std::string, std::string>& environment,
                                 const Supervision& supervision);

}  // namespace touchstone::harness
