// OTLP/JSON traces: one ExportTraceServiceRequest (equally a TracesData) as JSON text.
// Source: opentelemetry-proto v1.11.0, docs/specification.md, "JSON Protobuf Encoding".
// Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// One line without its end: hex ids, enums as integers, 64-bit integers as strings.
std::string encode_otlp_json(const TraceBatch& batch);

/// More than the specification asks for: enum names ("SPAN_KIND_SERVER"), snake_case keys, and
/// 64-bit integers as numbers, since protobuf's own JSON has them. Unknown keys are ignored.
/// ERRORS: kMalformed `resourceSpans[0].scopeSpans[0].spans[3].traceId: got, expected`.
Result<TraceBatch> decode_otlp_json(std::string_view text);

/// What else a line of a Collector's file can be. "traces" for anything with resourceSpans, or for
/// an empty object.
enum class OtlpSignal { kTraces, kMetrics, kLogs };
struct OtlpJsonLine {
  OtlpSignal signal = OtlpSignal::kTraces;
  TraceBatch batch;  ///< of traces
};
/// As decode_otlp_json(), but metrics and logs are recognised instead of taken for no spans.
Result<OtlpJsonLine> decode_otlp_json_line(std::string_view text);

}  // namespace touchstone::telemetry
