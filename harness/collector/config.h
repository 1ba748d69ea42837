// A Collector configuration as the harness uses it: which components it needs, and the environment
// that makes its `${env:…}` places concrete for one run. The file itself is never rewritten: what
// is run is what is in collector_configs/. Thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/result.h"

namespace touchstone::harness {

/// Section ("receivers", "processors", "exporters", "connectors", "extensions") → component types.
using Components = std::map<std::string, std::set<std::string>>;

/// Component types that the configuration names ("filter/pii" is "filter").
/// ERRORS: kNotFound, kInvalidArgument.
Result<Components> components_of_config(const std::string& path);

/// The parts of the trace pipelines as a family of a metrics page
/// (conformance/collector_pipelines.h). ERRORS: kNotFound, kInvalidArgument.
Result<std::string> pipelines_page(const std::string& path);

/// Reads what `otelcol components` prints. ERRORS: kMalformed.
struct CollectorInventory {
  std::string version;
  Components components;
};
Result<CollectorInventory> parse_inventory(const std::string& text);

/// What `needed` has and `present` has not, as "exporter file". Renamed components count as
/// present under either name ("otlp" and "otlp_grpc").
std::set<std::string> missing_components(const Components& needed, const Components& present);

/// Where the Collector of one run listens and writes.
struct CollectorPlaces {
  uint16_t otlp_grpc_port = 0;
  uint16_t otlp_http_port = 0;
  uint16_t health_port = 0;
  uint16_t own_metrics_port = 0;      ///< its own counters
  uint16_t subject_metrics_port = 0;  ///< the subject's metrics, exported again
  std::string subject_address;        ///< host:port whose /metrics it scrapes
  std::string spans_file;

  std::string otlp_grpc_url() const;
  std::string otlp_http_url() const;
  std::string health_url() const;
  std::string own_metrics_url() const;
};

/// The variables that collector_configs/*.yaml may use.
std::map<std::string, std::string> collector_environment(const CollectorPlaces& places);

}  // namespace touchstone::harness
