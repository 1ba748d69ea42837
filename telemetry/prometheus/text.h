// The Prometheus text exposition format, read. Source: prometheus.io/docs/instrumenting/
// exposition_formats, version 0.0.4. Pure; thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace touchstone::telemetry {

using Labels = std::map<std::string, std::string>;

struct Sample {
  std::string name;  ///< with its suffix: "x_bucket", "x_total"
  Labels labels;
  double value = 0;  ///< may be NaN or infinite
};

/// One `# TYPE` group and its samples, in the page's order.
struct MetricFamily {
  std::string name;
  std::string type;  ///< "counter", "gauge", "histogram", "summary", "untyped"; OpenMetrics' too
  std::string help;
  std::vector<Sample> samples;
};

struct MetricsPage {
  std::vector<MetricFamily> families;

  const MetricFamily* family(std::string_view name) const;
  /// The sample with this name whose labels include `labels`; nullopt when none or several.
  std::optional<double> value(std::string_view name, const Labels& labels = {}) const;
  /// Sum over all samples with this name whose labels include `labels` and not `without`; nullopt
  /// when none.
  std::optional<double> sum(std::string_view name, const Labels& labels = {},
                            const std::string& without = "") const;
};

/// ERRORS: kMalformed `name:line: got, expected`.
Result<MetricsPage> parse_prometheus_text(const std::string& name, std::string_view text);

}  // namespace touchstone::telemetry
