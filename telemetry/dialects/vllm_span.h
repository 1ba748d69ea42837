// The span of one completion in vLLM's words, which several dialects build on. Thread-safe.
#pragma once

#include "records/request_record.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/span.h"

namespace touchstone::telemetry {

/// Whether the caller wants no span: its trace context says that it is not sampled.
bool is_unsampled(const records::RequestRecord& record);

/// `llm_request`, kind SERVER, with the parent, times and attributes of vLLM 0.32.0.
Span vllm_span(const records::RequestRecord& record, SpanIds& ids);

}  // namespace touchstone::telemetry
