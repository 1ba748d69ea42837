#include "telemetry/export/environment_check.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::telemetry {
namespace {

/// May be set to one of `accepted` (a list of them for the propagators); anything else is refused.
struct Limited {
  const char* name;
  std::vector<std::string> accepted;
};
const std::vector<Limited>& limited_of_spans() {
  static const std::vector<Limited> kRows = {
      {"OTEL_TRACES_EXPORTER", {"otlp"}},
      {"OTEL_PROPAGATORS", {"tracecontext", "baggage"}},
      {"OTEL_SEMCONV_STABILITY_OPT_IN", {"http", "http/dup", "gen_ai_latest_experimental"}},
  };
  return kRows;
}
const std::vector<Limited>& limited_of_metrics() {
  static const std::vector<Limited> kRows = {
      {"OTEL_METRICS_EXPORTER", {"otlp"}},
      {"OTEL_METRICS_EXEMPLAR_FILTER", {"trace_based"}},
      {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", {"cumulative"}},
      {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", {"explicit_bucket_histogram"}},
  };
  return kRows;
}

struct WithoutEffect {
  const char* name;
  const char* reason;
};
constexpr WithoutEffect kWithoutEffect[] = {
    {"VLLM_OTLP_TRACES_ENDPOINT", "vLLM has no such variable: use --otlp-traces-endpoint"},
    {"VLLM_TRACE_FUNCTION", "it traces Python functions, and there are none"},
    {"OTEL_EXPORTER_OTLP_INSECURE", "the endpoint's scheme decides, as in vLLM: https is TLS"},
    {"OTEL_EXPORTER_OTLP_TRACES_INSECURE",
     "the endpoint's scheme decides, as in vLLM: https is TLS"},
    {"OTEL_CONFIG_FILE", "declarative configuration is not read"},
    {"OTEL_LOGS_EXPORTER", "no logs are exported"},
    {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "no logs are exported"},
    {"OTEL_LOG_LEVEL", "there are no log levels"},
    {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "use --capture-content"},
};

std::optional<std::string> refused_word(const Limited& row, const std::string& value) {
  for (const std::string& item : split(value, ',')) {
    const std::string word(trim(item));
    if (std::find(row.accepted.begin(), row.accepted.end(), word) == row.accepted.end()) {
      return word;
    }
  }
  return std::nullopt;
}

Status check_limited(const Environment& environment, const std::vector<Limited>& rows) {
  for (const Limited& row : rows) {
    const auto value = lookup(environment, row.name);
    if (!value) continue;
    if (const auto word = refused_word(row, *value)) {
      return invalid_argument(std::string(row.name) + ": got " + quote(*word) +
                              ", expected one of: " + join(row.accepted, ", "));
    }
  }
  return {};
}

void tell_of_metrics(const Environment& environment, std::vector<std::string>& told) {
  for (const char* name : {"OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                           "OTEL_METRIC_EXPORT_INTERVAL"}) {
    if (!lookup(environment, name)) continue;
    told.push_back(std::string(name) +
                   ": no effect: metrics are pushed with --otlp-metrics-endpoint alone; they can "
                   "be scraped from /metrics");
  }
}

}  // namespace

Result<std::vector<std::string>> check_otel_environment(const Environment& environment,
                                                        bool exports_spans, bool exports_metrics) {
  std::vector<std::string> told;
  if (exports_metrics) {
    RETURN_IF_ERROR(check_limited(environment, limited_of_metrics()));
  } else {
    tell_of_metrics(environment, told);
  }
  if (exports_spans) {
    RETURN_IF_ERROR(check_limited(environment, limited_of_spans()));
  } else {
    for (const char* name : {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}) {
      if (!lookup(environment, name)) continue;
      told.push_back(std::string(name) +
                     ": no effect: spans are sent with --otlp-traces-endpoint alone, as in vLLM "
                     "(--otlp-traces-endpoint env takes it from there)");
    }
  }
  for (const WithoutEffect& row : kWithoutEffect) {
    if (lookup(environment, row.name)) {
      told.push_back(std::string(row.name) + ": no effect: " + row.reason);
    }
  }
  return told;
}

}  // namespace touchstone::telemetry
