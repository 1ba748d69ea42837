// What the OTLP exporter is told by vLLM's flag and by the environment. Source: OpenTelemetry
// specification v1.50, protocol/exporter.md and configuration/sdk-environment-variables.md; the
// accepted endpoint forms are vLLM's (opentelemetry-python, exporter-otlp-proto-grpc).
// Pure; thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "base/result.h"
#include "telemetry/export/batch_exporter.h"

namespace touchstone::telemetry {

struct OtlpEndpoint {
  std::string authority;  ///< "host:port", "[::1]:4317"
  std::string path;       ///< of http/…: "/v1/traces"; empty for grpc
  bool tls = false;
  std::string host() const;  ///< without brackets
  std::string port() const;
};

/// `http://h:p`, `grpc://h:p` and bare `h:p` are plaintext, `https://h:p` is TLS. Without a port
/// 4317 is meant, or 4318 with http/protobuf and http/json, whose path is the URL's or, without
/// one, the signal's: /v1/traces. ERRORS: kInvalidArgument; also for a path with grpc, which has
/// none: spans sent there are lost.
Result<OtlpEndpoint> parse_otlp_endpoint(const std::string& text, const std::string& protocol,
                                         Signal signal = Signal::kTraces);

struct OtlpOptions {
  Signal signal = Signal::kTraces;  ///< whose endpoint and variables these are
  std::string protocol = "grpc";    ///< a row of transports.h
  OtlpEndpoint endpoint;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  bool gzip = false;
  std::string certificate_file;         ///< of the authority that signed the receiver's
  std::string client_certificate_file;  ///< for mutual TLS, with its key
  std::string client_key_file;
  BatchOptions batch;
};

/// `endpoint` as given to --otlp-traces-endpoint; "env": what OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
/// OTEL_EXPORTER_OTLP_ENDPOINT (a base, to which HTTP adds /v1/traces) names. The rest from
/// OTEL_EXPORTER_OTLP_[TRACES_]* (the signal's own name wins) and OTEL_BSP_*. Times in variables
/// are milliseconds. Of metrics the same with METRICS for TRACES. ERRORS: kInvalidArgument that
/// names the variable.
Result<OtlpOptions> otlp_options(const std::string& endpoint, const Environment& environment,
                                 Signal signal = Signal::kTraces);

/// "TRACES", as variables have it.
const char* variable_word(Signal signal);

/// True only for the word "true", in any case.
bool sdk_disabled(const Environment& environment);

/// `key=value,key=value` with percent-encoding, as in OTEL_RESOURCE_ATTRIBUTES and *_HEADERS.
/// Items without a key or an equals sign go to `skipped`.
std::vector<std::pair<std::string, std::string>> parse_key_values(
    const std::string& text, std::vector<std::string>& skipped);

}  // namespace touchstone::telemetry
