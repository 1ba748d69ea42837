// OTLP/JSON traces: one ExportTraceServiceRequest (equally a TracesData) as JSON text.
// Source: opentelemetry-proto v1.11.0, docs/specification.md, "JSON Protobuf Encoding".
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// One line without its end: hex ids, enums as integers, 64-bit integers as strings.
std::string encode_otlp_json(const TraceBatch& batch);

/// What a line of a Collector's file can be.
enum class OtlpSignal { kTraces, kMetrics, kLogs, kProfiles };

/// Reads one text after the other and keeps what it has allocated. Accepts more than the
/// specification asks for: enum names ("SPAN_KIND_SERVER"), snake_case keys, and 64-bit integers as
/// numbers, since protobuf's own JSON has them. Unknown keys are ignored. Thread-compatible.
class OtlpJsonDecoder final {
 public:
  OtlpJsonDecoder();
  ~OtlpJsonDecoder();
  OtlpJsonDecoder(const OtlpJsonDecoder&) = delete;
  OtlpJsonDecoder& operator=(const OtlpJsonDecoder&) = delete;

  /// `place: got, expected`, as in `resourceSpans[0].scopeSpans[0].spans[3].traceId: got …`. A bad
  /// field costs its span, or its attributes list when it is a resource's or a scope's, no more.
  using OnProblem = std::function<void(std::string problem)>;

  /// Replaces what `batch` held by the text's spans; lists and strings in it are filled again.
  /// ERRORS: kMalformed for what is no JSON, kUnsupported for JSON that is no OTLP of any signal.
  Result<OtlpSignal> decode(std::string_view text, TraceBatch& batch, const OnProblem& on_problem);
  /// The same without a copy of the text. REQUIRES: the kPaddingBytes after it can be read.
  Result<OtlpSignal> decode_padded(std::string_view text, TraceBatch& batch,
                                   const OnProblem& on_problem);
  static constexpr size_t kPaddingBytes = 64;

 private:
  struct Parser;
  Result<OtlpSignal> decode(std::string_view text, bool is_padded, TraceBatch& batch,
                            const OnProblem& on_problem);
  std::unique_ptr<Parser> parser_;
};

/// One text of traces, whole or not at all. ERRORS: as above; kMalformed for the first problem.
Result<TraceBatch> decode_otlp_json(std::string_view text);

}  // namespace touchstone::telemetry
