// The span of one completion in vLLM's words, which several dialects build on. Thread-safe.
#pragma once

#include "records/request_record.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// Whether vLLM traces such a request: it forgets an abandoned one before it would, and never
/// traces a refused one.
bool vllm_traces(const records::RequestRecord& record);

/// `llm_request`, kind SERVER, with the parent, times and attributes of vLLM 0.32.0.
Span vllm_span(const records::RequestRecord& record, SpanIds& ids);

}  // namespace touchstone::telemetry
