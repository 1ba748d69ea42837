#include "telemetry/export/otlp_options.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "http/query.h"

namespace touchstone::telemetry {
namespace {

std::string default_path(Signal signal) { return "/v1/" + to_lower(variable_word(signal)); }

std::string own_variable(Signal signal, const std::string& suffix) {
  return std::string("OTEL_EXPORTER_OTLP_") + variable_word(signal) + "_" + suffix;
}

/// A variable of the OTLP exporter with its name: the signal's own, else the general one.
struct Variable {
  std::string name;
  std::string value;
};
std::optional<Variable> otlp_variable(const Environment& environment, Signal signal,
                                      const std::string& suffix) {
  for (const std::string& name : {own_variable(signal, suffix), "OTEL_EXPORTER_OTLP_" + suffix}) {
    if (auto value = lookup(environment, name)) return Variable{name, *std::move(value)};
  }
  return std::nullopt;
}

/// Overwrites `out` when the variable is set.
Status read_count(const Environment& environment, const std::string& name, size_t& out) {
  const auto text = lookup(environment, name);
  if (!text) return {};
  const auto number = parse_int(*text);
  if (!number || *number <= 0) {
    return invalid_argument(name + ": got " + quote(*text) + ", expected a positive integer");
  }
  out = static_cast<size_t>(*number);
  return {};
}

Status read_milliseconds(const std::string& name, const std::string& text, int64_t& out_ns) {
  const auto number = parse_int(text);
  constexpr int64_t kMax = 24 * 3600 * 1000;
  if (!number || *number <= 0 || *number > kMax) {
    return invalid_argument(name + ": got " + quote(text) +
                            ", expected milliseconds from 1 to 86400000");
  }
  out_ns = *number * kNsPerMs;
  return {};
}

Status read_batch_options(const Environment& environment, BatchOptions& batch) {
  RETURN_IF_ERROR(read_count(environment, "OTEL_BSP_MAX_QUEUE_SIZE", batch.queue_spans_max));
  RETURN_IF_ERROR(read_count(environment, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", batch.batch_spans_max));
  for (const auto& [name, ns] : {std::pair{"OTEL_BSP_SCHEDULE_DELAY", &batch.delay_ns},
                                 std::pair{"OTEL_BSP_EXPORT_TIMEOUT", &batch.export_timeout_ns}}) {
    if (const auto text = lookup(environment, name)) {
      RETURN_IF_ERROR(read_milliseconds(name, *text, *ns));
    }
  }
  if (batch.batch_spans_max > batch.queue_spans_max) {
    return invalid_argument(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: got " + std::to_string(batch.batch_spans_max) +
        ", expected at most OTEL_BSP_MAX_QUEUE_SIZE, " + std::to_string(batch.queue_spans_max));
  }
  return {};
}

Status read_headers(const Environment& environment, OtlpOptions& options) {
  const auto headers = otlp_variable(environment, options.signal, "HEADERS");
  if (!headers) return {};
  std::vector<std::string> skipped;
  for (auto& [key, value] : parse_key_values(headers->value, skipped)) {
    options.headers.emplace_back(to_lower(key), std::move(value));
  }
  if (!skipped.empty()) {
    return invalid_argument(headers->name +
                            ": got an item that is not key=value, expected "
                            "key=value,key=value");
  }
  return {};
}

/// What the variables name: the signal's own as it is, the general one as a base for HTTP paths.
Result<std::string> endpoint_of(const Environment& environment, const OtlpOptions& options) {
  const std::string own_name = own_variable(options.signal, "ENDPOINT");
  if (auto own = lookup(environment, own_name)) return *std::move(own);
  auto base = lookup(environment, "OTEL_EXPORTER_OTLP_ENDPOINT");
  if (!base) {
    return invalid_argument("OTLP endpoint: got \"env\", expected OTEL_EXPORTER_OTLP_ENDPOINT or " +
                            own_name + " to be set");
  }
  if (!options.protocol.starts_with("http/")) return *std::move(base);
  while (base->ends_with('/')) base->pop_back();
  return *base + default_path(options.signal);
}

}  // namespace

const char* variable_word(Signal signal) {
  switch (signal) {
    case Signal::kTraces:
      return "TRACES";
    case Signal::kMetrics:
      return "METRICS";
    case Signal::kLogs:
      return "LOGS";
  }
  return "";
}

std::string OtlpEndpoint::host() const {
  const std::string host = authority.substr(0, authority.rfind(':'));
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

std::string OtlpEndpoint::port() const { return authority.substr(authority.rfind(':') + 1); }

Result<OtlpEndpoint> parse_otlp_endpoint(const std::string& text, const std::string& protocol,
                                         Signal signal) {
  const auto refuse = [&](const std::string& expected) {
    return invalid_argument("OTLP endpoint: got " + quote(text) + ", expected " + expected,
                            "for example http://127.0.0.1:4317");
  };
  std::string_view rest = trim(text);
  OtlpEndpoint endpoint;
  if (const size_t scheme_end = rest.find("://"); scheme_end != std::string_view::npos) {
    const std::string scheme = to_lower(rest.substr(0, scheme_end));
    if (scheme != "http" && scheme != "https" && scheme != "grpc") {
      return refuse("the scheme http, https or grpc");
    }
    endpoint.tls = scheme == "https";
    rest.remove_prefix(scheme_end + 3);
  }
  const bool has_scheme = rest.size() != trim(text).size();
  const std::string_view path = rest.substr(std::min(rest.find_first_of("/?#"), rest.size()));
  rest = rest.substr(0, rest.find_first_of("/?#"));
  const bool http = protocol.starts_with("http/");
  const bool has_path = !path.empty() && path != "/";
  if (has_path && !http) {
    return invalid_argument(
        "OTLP endpoint: got " + quote(text) + ", expected no path, since " + protocol + " has none",
        "for OTLP over HTTP set " + own_variable(signal, "PROTOCOL") + "=http/protobuf");
  }
  if (http) endpoint.path = has_path ? std::string(path) : default_path(signal);
  const size_t host_end = rest.starts_with('[') ? rest.find(']') : rest.find(':');
  const bool bracketed = rest.starts_with('[') && host_end != std::string_view::npos;
  const std::string_view host = rest.substr(0, bracketed ? host_end + 1 : host_end);
  const std::string_view after = rest.substr(host.size());
  if (host.empty() || host == "[]" || host.find_first_of(" @") != std::string_view::npos ||
      (rest.starts_with('[') && !bracketed)) {
    return refuse("host:port");
  }
  if (after.empty() && !has_scheme) return refuse("host:port or a URL");
  int64_t port = http ? 4318 : 4317;
  if (!after.empty()) {
    const auto number = after[0] == ':' ? parse_int(after.substr(1)) : std::nullopt;
    if (!number || *number < 1 || *number > 65535) return refuse("a port from 1 to 65535");
    port = *number;
  }
  endpoint.authority = std::string(host) + ":" + std::to_string(port);
  return endpoint;
}

Result<OtlpOptions> otlp_options(const std::string& endpoint, const Environment& environment,
                                 Signal signal) {
  OtlpOptions options;
  options.signal = signal;
  if (const auto protocol = otlp_variable(environment, signal, "PROTOCOL")) {
    options.protocol = protocol->value;
  }
  Result<std::string> text =
      endpoint == "env" ? endpoint_of(environment, options) : Result<std::string>(endpoint);
  if (!text) return std::move(text).error();
  Result<OtlpEndpoint> parsed = parse_otlp_endpoint(*text, options.protocol, signal);
  if (!parsed) return std::move(parsed).error();
  options.endpoint = *std::move(parsed);
  RETURN_IF_ERROR(read_headers(environment, options));
  RETURN_IF_ERROR(read_batch_options(environment, options.batch));
  if (const auto timeout = otlp_variable(environment, signal, "TIMEOUT")) {
    RETURN_IF_ERROR(
        read_milliseconds(timeout->name, timeout->value, options.batch.attempt_timeout_ns));
  }
  if (const auto compression = otlp_variable(environment, signal, "COMPRESSION")) {
    if (compression->value != "gzip" && compression->value != "none") {
      return invalid_argument(compression->name + ": got " + quote(compression->value) +
                              ", expected gzip or none");
    }
    options.gzip = compression->value == "gzip";
  }
  for (const auto& [suffix, file] :
       {std::pair{"CERTIFICATE", &options.certificate_file},
        std::pair{"CLIENT_CERTIFICATE", &options.client_certificate_file},
        std::pair{"CLIENT_KEY", &options.client_key_file}}) {
    if (auto path = otlp_variable(environment, signal, suffix)) *file = path->value;
  }
  return options;
}

bool sdk_disabled(const Environment& environment) {
  return to_lower(lookup(environment, "OTEL_SDK_DISABLED").value_or("")) == "true";
}

std::vector<std::pair<std::string, std::string>> parse_key_values(
    const std::string& text, std::vector<std::string>& skipped) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& item : split(text, ',')) {
    if (trim(item).empty()) continue;
    const size_t equals = item.find('=');
    const std::string_view key = trim(std::string_view(item).substr(0, equals));
    if (equals == std::string::npos || key.empty()) {
      skipped.push_back(item);
      continue;
    }
    pairs.emplace_back(key, http::percent_decoded(trim(std::string_view(item).substr(equals + 1))));
  }
  return pairs;
}

}  // namespace touchstone::telemetry
