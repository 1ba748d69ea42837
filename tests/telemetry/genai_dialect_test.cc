#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "telemetry/dialects/dialect.h"
#include "telemetry/dialects/request_group.h"
#include "telemetry/prometheus/text.h"

namespace touchstone::telemetry {
namespace {

records::RequestRecord choice(int64_t index, int64_t of, int64_t prompts = 1) {
  records::RequestRecord record;
  record.endpoint = "/v1/completions";
  record.n = of;
  record.choice = index;
  record.choices = of * prompts;
  record.request_id = "cmpl-x-" + std::to_string(index / of);
  record.model = "tiny";
  record.arrival_ns = 10 * kNsPerSecond;
  record.queued_ns = 11 * kNsPerSecond;
  record.first_scheduled_ns = (12 + index) * kNsPerSecond;
  record.first_token_ns = (20 - index) * kNsPerSecond;
  record.last_token_ns = (30 + index) * kNsPerSecond;
  record.finished_ns = (31 + index) * kNsPerSecond;
  record.prompt_tokens = 40;
  record.cached_tokens = 16;
  record.completion_tokens = 8;
  record.max_tokens = 9;
  record.temperature = 0.0;
  record.top_p = 1.0;
  record.top_k = 50;
  record.presence_penalty = 0.0;
  record.frequency_penalty = 0.5;
  record.seed = 3 + index;
  return record;
}

struct Spans {
  std::unique_ptr<Dialect> dialect = genai_dialect().make({.served_models = {"tiny"}});
  SpanIds ids{7};
  std::vector<Span> made;
  void add(const records::RequestRecord& record) { dialect->append_spans(record, ids, made); }
};

TEST(GenAiDialect, HasTheKeysOfTheConventions) {
  Spans spans;
  spans.add(choice(0, 1));
  ASSERT_EQ(spans.made.size(), 1u);
  const Span& span = spans.made[0];
  EXPECT_EQ(span.name, "text_completion tiny");
  EXPECT_EQ(span.kind, SpanKind::kInternal);
  EXPECT_EQ(span.attributes,
            (Attributes{{"gen_ai.operation.name", "text_completion"},
                        {"gen_ai.provider.name", "vllm"},
                        {"gen_ai.request.model", "tiny"},
                        {"gen_ai.request.max_tokens", 9},
                        {"gen_ai.request.temperature", 0.0},
                        {"gen_ai.request.top_p", 1.0},
                        {"gen_ai.request.top_k", 50.0},
                        {"gen_ai.request.frequency_penalty", 0.5},
                        {"gen_ai.request.presence_penalty", 0.0},
                        {"gen_ai.request.seed", 3},
                        {"gen_ai.response.id", "cmpl-x"},
                        {"gen_ai.response.model", "tiny"},
                        {"gen_ai.response.finish_reasons", Value::Array{Value("stop")}},
                        {"gen_ai.usage.input_tokens", 40},
                        {"gen_ai.usage.output_tokens", 8},
                        {"gen_ai.usage.cache_read.input_tokens", 16}}));
}

TEST(GenAiDialect, OneSpanForAllChoicesOfARequest) {
  Spans spans;
  // Two prompts with three choices each, ended in this order.
  for (const int64_t index : {2, 0, 1, 5, 4}) {
    spans.add(choice(index, 3, 2));
    EXPECT_TRUE(spans.made.empty());
  }
  records::RequestRecord last = choice(3, 3, 2);
  last.outcome = records::Outcome::kLength;
  last.stream = true;
  spans.add(last);
  ASSERT_EQ(spans.made.size(), 1u);
  const Span& span = spans.made[0];
  const auto integer = [&](const char* key) { return *find(span.attributes, key)->integer(); };
  EXPECT_EQ(integer("gen_ai.request.choice.count"), 3);
  EXPECT_EQ(integer("gen_ai.usage.input_tokens"), 80) << "each prompt once";
  EXPECT_EQ(integer("gen_ai.usage.output_tokens"), 48);
  EXPECT_EQ(integer("gen_ai.request.seed"), 3) << "the one that was asked for";
  EXPECT_EQ(*find(span.attributes, "gen_ai.response.finish_reasons"),
            Value(Value::Array{"stop", "stop", "stop", "length", "stop", "stop"}));
  EXPECT_EQ(to_seconds(span.end_unix_ns - span.start_unix_ns), 26) << "to the end of the last";
}

TEST(GenAiDialect, AFailureHasStatusAndType) {
  Spans spans;
  records::RequestRecord record = choice(0, 2);
  record.outcome = records::Outcome::kAbort;
  spans.add(choice(1, 2));
  spans.add(record);
  record = choice(0, 8);
  record.endpoint = "/v1/chat/completions";
  record.outcome = records::Outcome::kRefused;
  record.error_type = "BadRequestError";
  record.tenant = "acme";
  spans.add(record);
  ASSERT_EQ(spans.made.size(), 2u) << "a refused request has one record for all choices";
  EXPECT_EQ(spans.made[0].status, StatusCode::kError);
  EXPECT_EQ(*find(spans.made[0].attributes, "error.type")->string(), "client_disconnected");
  EXPECT_EQ(spans.made[1].name, "chat tiny");
  EXPECT_EQ(*find(spans.made[1].attributes, "error.type")->string(), "BadRequestError");
  EXPECT_EQ(*find(spans.made[1].attributes, "tenant.id")->string(), "acme");
  EXPECT_EQ(find(spans.made[1].attributes, "gen_ai.response.id"), nullptr);
}

TEST(GenAiDialect, StreamsTellWhenTheirFirstChunkCame) {
  Spans spans;
  records::RequestRecord record = choice(0, 1);
  record.stream = true;
  record.top_k = -1;
  spans.add(record);
  EXPECT_EQ(*find(spans.made[0].attributes, "gen_ai.response.time_to_first_chunk")->number(), 10);
  EXPECT_NE(find(spans.made[0].attributes, "gen_ai.request.stream"), nullptr);
  EXPECT_EQ(find(spans.made[0].attributes, "gen_ai.request.top_k"), nullptr) << "all tokens";
}

TEST(GenAiDialect, HasContentOnlyWhereItWasCaptured) {
  Spans spans;
  records::RequestRecord record = choice(0, 1);
  spans.add(record);
  EXPECT_EQ(find(spans.made[0].attributes, "gen_ai.input.messages"), nullptr);
  record.content = records::RequestContent{.input = {{"system", "Be \"brief\""}, {"user", "To be"}},
                                           .output = "or not",
                                           .bytes_max = 99};
  spans.add(record);
  const auto json = [&](const char* key) {
    return nlohmann::json::parse(*find(spans.made[1].attributes, key)->string());
  };
  const auto text = [](const char* words) {
    return nlohmann::json::array({{{"type", "text"}, {"content", words}}});
  };
  EXPECT_EQ(json("gen_ai.input.messages"),
            (nlohmann::json::array({{{"role", "system"}, {"parts", text("Be \"brief\"")}},
                                    {{"role", "user"}, {"parts", text("To be")}}})));
  EXPECT_EQ(json("gen_ai.output.messages"),
            (nlohmann::json::array(
                {{{"role", "assistant"}, {"parts", text("or not")}, {"finish_reason", "stop"}}})));
}

TEST(HttpDialect, HasOneSpanBetweenTheCallersAndTheEnginesOwn) {
  const auto dialect = http_dialect().make({});
  const auto engine = vllm_dialect().make({});
  SpanIds ids(7);
  std::vector<Span> http;
  std::vector<Span> engines;
  for (const int64_t index : {1, 0}) {
    records::RequestRecord record = choice(index, 2);
    record.http_span_id.emplace().bytes[0] = 5;
    record.caller_span_id.emplace().bytes[0] = 6;
    record.trace = records::TraceContext{};
    record.trace->trace_id.bytes[0] = 7;
    record.trace->parent_span_id = *record.http_span_id;
    record.trace->flags = 1;
    dialect->append_spans(record, ids, http);
    engine->append_spans(record, ids, engines);
  }
  ASSERT_EQ(http.size(), 1u);
  EXPECT_EQ(http[0].name, "POST /v1/completions");
  EXPECT_EQ(http[0].kind, SpanKind::kServer);
  EXPECT_EQ(http[0].parent_span_id.bytes[0], 6);
  EXPECT_EQ(http[0].flags & kFlagIsRemote, kFlagIsRemote);
  EXPECT_EQ(http[0].status, StatusCode::kUnset);
  EXPECT_EQ(*find(http[0].attributes, "http.response.status_code")->integer(), 200);
  ASSERT_EQ(engines.size(), 2u);
  for (const Span& span : engines) {
    EXPECT_EQ(span.parent_span_id, http[0].span_id);
    EXPECT_EQ(span.trace_id, http[0].trace_id);
    EXPECT_EQ(span.flags & kFlagIsRemote, 0u) << "its parent is of the same process";
    EXPECT_GE(span.start_unix_ns, http[0].start_unix_ns);
    EXPECT_LE(span.end_unix_ns, http[0].end_unix_ns);
  }
  records::RequestRecord failed = choice(0, 1);
  failed.http_span_id.emplace().bytes[0] = 8;
  failed.http_status = 500;
  failed.outcome = records::Outcome::kError;
  dialect->append_spans(failed, ids, http);
  ASSERT_EQ(http.size(), 2u);
  EXPECT_EQ(http[1].status, StatusCode::kError);
  EXPECT_FALSE(http[1].parent_span_id.is_valid());
}

TEST(GenAiMetrics, ObserveEachRequestOnceWithBoundedLabels) {
  const auto metrics = genai_dialect().make({.served_models = {"tiny"}})->make_metrics(0);
  metrics->on_finish(choice(1, 2));
  metrics->on_finish(choice(0, 2));
  records::RequestRecord refused = choice(0, 1);
  refused.outcome = records::Outcome::kRefused;
  for (int i = 0; i < 1000; ++i) {
    refused.model = "m" + std::to_string(i);
    refused.error_type = "E" + std::to_string(i);
    metrics->on_finish(refused);
  }
  std::string text;
  metrics->render(text);
  const auto page = parse_prometheus_text("metrics", text);
  ASSERT_TRUE(page) << page.error().message;
  const Labels good = {{"gen_ai_operation_name", "text_completion"},
                       {"gen_ai_provider_name", "vllm"},
                       {"gen_ai_request_model", "tiny"}};
  EXPECT_EQ(page->value("gen_ai_server_request_duration_seconds_count", good), 1);
  EXPECT_EQ(page->value("gen_ai_server_request_duration_seconds_sum", good), 22);
  EXPECT_EQ(page->value("gen_ai_server_time_to_first_token_seconds_sum", good), 9);
  EXPECT_EQ(page->value("gen_ai_server_time_per_output_token_seconds_sum", good), (22.0 - 9) / 15);
  EXPECT_EQ(page->sum("gen_ai_server_request_duration_seconds_count"), 1001);
  EXPECT_EQ(page->sum("gen_ai_server_request_duration_seconds_count", {{"error_type", "_OTHER"}}),
            984);
  const size_t size = text.size();
  for (int i = 0; i < 1000; ++i) {
    refused.error_type = "F" + std::to_string(i);
    metrics->on_finish(refused);
  }
  text.clear();
  metrics->render(text);
  EXPECT_LT(text.size(), size + 20) << "nothing but digits";
}

}  // namespace
}  // namespace touchstone::telemetry
