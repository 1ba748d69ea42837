#include "telemetry/dialects/vllm_span.h"

#include "telemetry/dialects/request_span.h"

namespace touchstone::telemetry {
namespace {

/// vLLM writes a sampling parameter only when Python calls it true: greedy has no temperature.
template <typename T>
void append_if_true(Attributes& attributes, const char* key, const std::optional<T>& value) {
  if (value && *value != T{}) attributes.push_back({key, Value(*value)});
}

Attributes attributes_of(const records::RequestRecord& record) {
  Attributes attributes;
  attributes.reserve(13);
  const auto add = [&](const char* key, auto value) { attributes.push_back({key, Value(value)}); };
  add("gen_ai.latency.time_to_first_token",
      records::seconds_between(record.arrival_ns, record.first_token_ns));
  add("gen_ai.latency.e2e", records::seconds_between(record.arrival_ns, record.finished_ns));
  add("gen_ai.latency.time_in_queue",
      records::seconds_between(record.queued_ns, record.first_scheduled_ns));
  add("gen_ai.usage.prompt_tokens", record.prompt_tokens);
  add("gen_ai.usage.completion_tokens", record.completion_tokens);
  add("gen_ai.latency.time_in_model_prefill",
      records::seconds_between(record.first_scheduled_ns, record.first_token_ns));
  add("gen_ai.latency.time_in_model_decode",
      records::seconds_between(record.first_token_ns, record.last_token_ns));
  add("gen_ai.latency.time_in_model_inference",
      records::seconds_between(record.first_scheduled_ns, record.last_token_ns));
  add("gen_ai.request.id", record.request_id);
  append_if_true(attributes, "gen_ai.request.top_p", record.top_p);
  append_if_true(attributes, "gen_ai.request.max_tokens", record.max_tokens);
  append_if_true(attributes, "gen_ai.request.temperature", record.temperature);
  // Each completion is an engine request of its own, whose n is 1.
  add("gen_ai.request.n", int64_t{1});
  return attributes;
}

}  // namespace

bool vllm_traces(const records::RequestRecord& record) {
  return record.outcome != records::Outcome::kAbort &&
         record.outcome != records::Outcome::kRefused && !is_unsampled(record);
}

Span vllm_span(const records::RequestRecord& record, SpanIds& ids) {
  Span span = request_span(record, "llm_request", ids);
  span.kind = SpanKind::kServer;
  span.attributes = attributes_of(record);
  return span;
}

}  // namespace touchstone::telemetry
