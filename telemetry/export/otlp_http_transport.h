// OTLP over HTTP/1.1 with protobuf or JSON bodies. Source: opentelemetry-proto v1.11.0,
// docs/specification.md, "OTLP/HTTP".
#pragma once

#include <memory>

#include "base/result.h"
#include "telemetry/export/exporter.h"
#include "telemetry/export/otlp_options.h"

namespace touchstone::telemetry {

/// One connection a request. 429, 502, 503 and 504 are tried again, after Retry-After when the
/// answer has it in seconds, and so is what breaks on the way; any other status is final.
/// ERRORS: kNotFound, kIo, kMalformed for a certificate file.
Result<std::unique_ptr<Transport>> make_otlp_http_transport(const OtlpOptions& options);
/// The same with JSON bodies, of traces and metrics.
Result<std::unique_ptr<Transport>> make_otlp_http_json_transport(const OtlpOptions& options);

}  // namespace touchstone::telemetry
