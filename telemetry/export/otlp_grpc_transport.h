// OTLP over gRPC. Source: opentelemetry-proto v1.11.0, docs/specification.md, "OTLP/gRPC".
#pragma once

#include <memory>

#include "base/result.h"
#include "telemetry/export/exporter.h"
#include "telemetry/export/otlp_options.h"

namespace touchstone::telemetry {

/// Connects when the first batch is sent and again whenever the receiver comes back. Turns gRPC's
/// own messages on stderr off for the whole process: what matters is in SendResult.
/// ERRORS: kNotFound or kIo for a certificate file.
Result<std::unique_ptr<Transport>> make_otlp_grpc_transport(const OtlpOptions& options);

}  // namespace touchstone::telemetry
