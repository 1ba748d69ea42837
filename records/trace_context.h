// W3C Trace Context, read and written. Source: w3.org/TR/trace-context-2, sections 3.2 and 3.3.
// Where the text leaves a choice, as opentelemetry-python does, because vLLM uses that: a bad
// traceparent is as if absent, a bad tracestate is dropped and the traceparent kept. Tracestate's
// keys are level 2's, a digit first too; opentelemetry-python has level 1's.
// Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "records/request_record.h"

namespace touchstone::records {

/// nullopt for every invalid form: wrong length, upper case, zero ids, version ff, version 00 with
/// something after the flags. A version after 00 is read by its first four fields.
std::optional<TraceContext> parse_traceparent(std::string_view header);

/// The list normalised to `key=value,key=value`; empty when a member is malformed, a key comes
/// twice, or there are more than 32.
std::string parse_tracestate(std::string_view header);

/// Of the two headers of one request; `tracestate` may be empty.
std::optional<TraceContext> parse_trace_context(std::string_view traceparent,
                                                std::string_view tracestate);

/// TRACEPARENT and TRACESTATE, or their lower-case spellings, which win as in vLLM.
std::optional<TraceContext> trace_context_of(const Environment& environment);

/// `00-<trace id>-<span id>-<flags>`.
std::string format_traceparent(const TraceId& trace_id, const SpanId& span_id, uint8_t flags);

}  // namespace touchstone::records
