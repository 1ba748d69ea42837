// A page of the Prometheus text format as OpenMetrics text 1.0.0, which has exemplars: a bucket
// names the trace of a request in it. Source: OpenMetrics 1.0.0 (prometheus/OpenMetrics,
// specification/OpenMetrics.md), and how prometheus_client for Python writes it. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace touchstone::telemetry {

struct Exemplar {
  TraceId trace_id;
  double value = 0;
  int64_t unix_ns = 0;
};
/// By the bucket's name and labels as they stand on the page: `x_bucket{le="1.0"}`.
using Exemplars = std::map<std::string, Exemplar, std::less<>>;

/// REQUIRES: a page that PrometheusRegistry made, or several one after the other.
std::string to_openmetrics(std::string_view page, const Exemplars& exemplars);

inline constexpr char kPrometheusTextType[] = "text/plain; version=0.0.4; charset=utf-8";
inline constexpr char kOpenMetricsType[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Whether an Accept header asks for it, as prometheus_client decides it.
bool accepts_openmetrics(std::string_view accept);

}  // namespace touchstone::telemetry
