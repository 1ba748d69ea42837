// A Prometheus page as OTLP metrics: the same families, names and numbers, cumulative since each
// series began. Source: opentelemetry-proto v1.11.0, metrics.proto; OpenTelemetry specification
// 1.50.0, compatibility/prometheus_and_openmetrics.md, "Prometheus Metric points to OTLP", which
// leaves names as they are. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "telemetry/prometheus/openmetrics.h"
#include "telemetry/prometheus/text.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

struct MetricsOrigin {
  Resource resource;
  Scope scope;
  int64_t started_unix_ns = 0;  ///< of series for which the page does not say when they began
};

/// An ExportMetricsServiceRequest. `x_created` families become start times and are no metrics of
/// their own; a counter becomes a monotonic sum, a histogram one with explicit bounds, a summary a
/// summary; anything else a gauge. Exemplars stand at their histogram's series.
std::string encode_otlp_metrics(const MetricsPage& page, const Exemplars& exemplars,
                                const MetricsOrigin& origin, int64_t now_unix_ns);

/// The same request as OTLP/JSON. ERRORS: kMalformed for bytes that are no such message.
Result<std::string> otlp_metrics_json(std::string_view protobuf);

}  // namespace touchstone::telemetry
