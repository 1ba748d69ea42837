// Spans for the tests of sinks and backends.
#pragma once

#include <string>
#include <vector>

#include "telemetry/span.h"

namespace touchstone::harness {

inline constexpr char kAuditSpans[] = "fixtures/spans/touchstone-audit/spans.otlp.jsonl";
inline constexpr char kAuditLedger[] = "fixtures/spans/touchstone-audit/requests.jsonl";

/// Of a file of the checkout.
telemetry::TraceBatch recorded_spans(const std::string& file = kAuditSpans);
/// One that has a value of every kind, events, links, dropped counts, a trace state.
telemetry::TraceBatch odd_span();
/// `traces` traces of one span each, a millisecond apart, from `start_unix_ns` on.
telemetry::TraceBatch many_traces(int traces, int64_t start_unix_ns);
/// The same with every time later by so much.
telemetry::TraceBatch shifted(telemetry::TraceBatch batch, int64_t by_ns);

/// One text a span, with what it came with, sorted: equal when the same spans are in both, however
/// they stand in batches.
std::vector<std::string> as_texts(const telemetry::TraceBatch& batch);

}  // namespace touchstone::harness
