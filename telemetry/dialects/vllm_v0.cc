// The span of vLLM's V0 engine (up to 0.10), which names the model and knows no prefill, decode or
// inference time. Source: vllm/engine/llm_engine.py (create_trace_span) and vllm/tracing.py of
// vLLM 0.8. Without --collect-detailed-traces, so without time_in_model_forward and _execute;
// time_in_scheduler is left out as where V0 did not know it.
#include "telemetry/dialects/request_span.h"
#include "telemetry/dialects/vllm_span.h"

namespace touchstone::telemetry {
namespace {

Attributes attributes_of(const records::RequestRecord& record) {
  using records::seconds_between;
  Attributes attributes;
  attributes.reserve(12);
  const auto add = [&](const char* key, auto value) { attributes.push_back({key, Value(value)}); };
  add("gen_ai.response.model", record.model);
  add("gen_ai.request.id", record.request_id);
  // Greedy's 0 too, unlike V1.
  if (record.temperature) add("gen_ai.request.temperature", *record.temperature);
  if (record.top_p) add("gen_ai.request.top_p", *record.top_p);
  if (record.max_tokens) add("gen_ai.request.max_tokens", *record.max_tokens);
  // A span stands for one completion here.
  add("gen_ai.request.n", int64_t{1});
  add("gen_ai.usage.num_sequences", int64_t{1});
  add("gen_ai.usage.prompt_tokens", record.prompt_tokens);
  add("gen_ai.usage.completion_tokens", record.completion_tokens);
  if (record.first_scheduled_ns) {
    add("gen_ai.latency.time_in_queue",
        seconds_between(record.arrival_ns, record.first_scheduled_ns));
  }
  if (record.first_token_ns) {
    add("gen_ai.latency.time_to_first_token",
        seconds_between(record.arrival_ns, record.first_token_ns));
  }
  add("gen_ai.latency.e2e", seconds_between(record.arrival_ns, record.finished_ns));
  return attributes;
}

class VllmV0Dialect final : public Dialect {
 public:
  const SpanOrigin& origin() const override { return origin_; }

  void append_spans(const records::RequestRecord& record, SpanIds& ids,
                    std::vector<Span>& out) const override {
    if (!vllm_traces(record)) return;
    Span span = request_span(record, "llm_request", ids);
    span.kind = SpanKind::kServer;
    span.attributes = attributes_of(record);
    out.push_back(std::move(span));
  }

 private:
  const SpanOrigin origin_ = {
      .scope = {"vllm.llm_engine", "", {}}, .schema_url = "", .resource = {}};
};

}  // namespace

DialectRow vllm_v0_dialect() {
  return {"vllm-v0", "the keys of vLLM's V0 engine (up to 0.10)",
          [](const DialectOptions&) -> std::unique_ptr<Dialect> {
            return std::make_unique<VllmV0Dialect>();
          }};
}

}  // namespace touchstone::telemetry
