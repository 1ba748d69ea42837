// The inference span of the OpenTelemetry GenAI semantic conventions, one for each HTTP request.
// Source: open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-spans.md and
// gen-ai-metrics.md as of May 2026 (after 1.42.0 moved them there; stability: development). The
// conventions know the client's span alone, kind CLIENT, or INTERNAL where the model runs in the
// same process: here it does. Left out, since the record has no texts of them:
// gen_ai.request.stop_sequences, gen_ai.output.type.
#include <utility>

#include "base/json_text.h"
#include "records/answering_model.h"
#include "telemetry/dialects/genai_metrics.h"
#include "telemetry/dialects/request_group.h"
#include "telemetry/dialects/request_span.h"

namespace touchstone::telemetry {
namespace {

using records::RequestRecord;

/// The conventions' words for how a choice ended.
const char* finish_reason(records::Outcome outcome) {
  switch (outcome) {
    case records::Outcome::kStop:
      return "stop";
    case records::Outcome::kLength:
      return "length";
    default:
      return "error";
  }
}

/// `role`, and `text` as its only part, as the conventions' JSON schema for messages has them.
void append_message(std::string_view role, std::string_view text, const char* finish,
                    JsonText& json) {
  json.begin_object().key("role").string(role).key("parts").begin_array();
  json.begin_object().key("type").string("text").key("content").string(text).end_object();
  json.end_array();
  if (finish != nullptr) json.key("finish_reason").string(finish);
  json.end_object();
}

void add_content(const RequestGroup& group, Attributes& attributes) {
  if (!group.record.content) return;
  std::string input;
  JsonText in(input);
  in.begin_array();
  for (const auto& [role, text] : group.record.content->input)
    append_message(role, text, nullptr, in);
  in.end_array();
  attributes.push_back({"gen_ai.input.messages", Value(std::move(input))});
  std::string output;
  JsonText out(output);
  out.begin_array();
  for (size_t i = 0; i < group.outputs.size(); ++i) {
    append_message("assistant", group.outputs[i], finish_reason(group.outcomes[i]), out);
  }
  out.end_array();
  attributes.push_back({"gen_ai.output.messages", Value(std::move(output))});
}

void add_request(const RequestRecord& record, Attributes& attributes) {
  const auto add = [&](const char* key, Value value) {
    attributes.push_back({key, std::move(value)});
  };
  const auto add_if = [&](const char* key, const auto& value) {
    if (value) add(key, Value(*value));
  };
  add("gen_ai.operation.name", operation_name(record));
  add("gen_ai.provider.name", "vllm");
  add("gen_ai.request.model", records::answering_model(record));
  add_if("gen_ai.request.max_tokens", record.max_tokens);
  if (record.n != 1) add("gen_ai.request.choice.count", record.n);
  add_if("gen_ai.request.temperature", record.temperature);
  add_if("gen_ai.request.top_p", record.top_p);
  // A double in the conventions; 0 and -1 ask for all tokens.
  if (record.top_k.value_or(0) > 0) {
    add("gen_ai.request.top_k", static_cast<double>(*record.top_k));
  }
  add_if("gen_ai.request.frequency_penalty", record.frequency_penalty);
  add_if("gen_ai.request.presence_penalty", record.presence_penalty);
  add_if("gen_ai.request.seed", record.seed);
  if (record.stream) add("gen_ai.request.stream", true);
}

void add_response(const RequestGroup& group, Attributes& attributes) {
  const RequestRecord& record = group.record;
  const auto add = [&](const char* key, Value value) {
    attributes.push_back({key, std::move(value)});
  };
  if (record.outcome != records::Outcome::kRefused) {
    add("gen_ai.response.id", group.response_id);
    add("gen_ai.response.model", records::answering_model(record));
    Value::Array reasons;
    for (const records::Outcome outcome : group.outcomes) {
      reasons.emplace_back(finish_reason(outcome));
    }
    add("gen_ai.response.finish_reasons", std::move(reasons));
    if (record.stream && record.first_token_ns) {
      add("gen_ai.response.time_to_first_chunk",
          records::seconds_between(record.arrival_ns, record.first_token_ns));
    }
    add("gen_ai.usage.input_tokens", group.prompt_tokens);
    add("gen_ai.usage.output_tokens", group.completion_tokens);
    add("gen_ai.usage.cache_read.input_tokens", group.cached_tokens);
  }
  if (!record.tenant.empty()) add("tenant.id", record.tenant);
  if (is_failure(record)) add("error.type", error_type(record));
}

class GenAiDialect final : public Dialect {
 public:
  explicit GenAiDialect(const DialectOptions& options) : served_models_(options.served_models) {}

  const SpanOrigin& origin() const override { return origin_; }

  void append_spans(const RequestRecord& record, SpanIds& ids,
                    std::vector<Span>& out) const override {
    if (is_unsampled(record)) return;
    const auto group = groups_.add(record);
    if (!group) return;
    Span span = request_span(
        group->record,
        std::string(operation_name(record)) + " " + records::answering_model(group->record), ids);
    span.kind = SpanKind::kInternal;
    span.attributes.reserve(24);
    add_request(group->record, span.attributes);
    add_response(*group, span.attributes);
    add_content(*group, span.attributes);
    if (is_failure(group->record)) span.status = StatusCode::kError;
    out.push_back(std::move(span));
  }

  std::unique_ptr<DialectMetrics> make_metrics(int64_t created_unix_ns) const override {
    return std::make_unique<GenAiMetrics>(served_models_, created_unix_ns);
  }

 private:
  const std::vector<std::string> served_models_;
  mutable RequestGroups groups_;
  const SpanOrigin origin_ = {.scope = {"touchstone.genai", "1", {}},
                              .schema_url = "https://opentelemetry.io/schemas/gen-ai/1.42.0",
                              .resource = {}};
};

}  // namespace

DialectRow genai_dialect() {
  return {"genai", "one span a request after the OpenTelemetry GenAI semantic conventions",
          [](const DialectOptions& options) -> std::unique_ptr<Dialect> {
            return std::make_unique<GenAiDialect>(options);
          }};
}

}  // namespace touchstone::telemetry
