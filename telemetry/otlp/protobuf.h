// OTLP/protobuf traces: an ExportTraceServiceRequest (equally a TracesData) as bytes.
// Source: opentelemetry-proto v1.11.0, telemetry/proto/. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// Writes the wire format directly, without building messages. Malformed UTF-8 in a string becomes
/// U+FFFD, because a receiver would refuse the whole batch for it.
std::string encode_otlp_protobuf(const TraceBatch& batch);

/// Unknown fields are ignored. ERRORS: kMalformed for bytes that are no such message, ids of a
/// wrong size, times beyond 2^63 ns.
Result<TraceBatch> decode_otlp_protobuf(std::string_view bytes);

}  // namespace touchstone::telemetry
