#include "reference_engine/server/refusal.h"

#include <gtest/gtest.h>

#include "telemetry/dialects/dialect.h"

namespace touchstone::server {
namespace {

records::RequestRecord refused(const std::string& body, int status = 400) {
  api::ApiContext context;
  context.served_model_names = {"tiny", "alias"};
  http::HttpRequest request;
  request.path = "/v1/chat/completions";
  request.body = body;
  request.arrival_unix_ns = 1'790'000'000'000'000'000;
  request.arrival_ns = 1'000;
  const api::ApiError error{
      .status = status, .type = "BadRequestError", .message = "secret", .param = {}};
  return refused_record(request, error, "chatcmpl-1", context, 3'000);
}

TEST(Refusal, NamesTheModelThatWasAskedForOrTheServedOne) {
  const struct {
    std::string body;
    std::string model;
  } rows[] = {
      {R"({"model": "gpt", "prompt": "a"})", "gpt"},
      {R"({"messages": [{"model": "inner"}], "model": "gpt"})", "gpt"},
      {R"({"messages": [{"model": "inner"}]})", "tiny"},
      {R"({"model": "gpt", "prompt": )", "gpt"},
      {R"({"model": 7})", "tiny"},
      {R"({"model": "\xff"})", "tiny"},
      {R"(["model", "gpt"])", "tiny"},
      {"no JSON", "tiny"},
      {"", "tiny"},
      {std::string(100'000, '['), "tiny"},
      {R"({"model": ")" + std::string(10'000, 'm') + R"("})", std::string(256, 'm')},
      {R"({"model": "m)" + std::string(200, 'm') + std::string(40, 'm') +
           "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC" + R"("})",
       std::string(241, 'm') + "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC"}};
  for (const auto& row : rows)
    EXPECT_EQ(refused(row.body).model, row.model) << row.body.substr(0, 80);
}

TEST(Refusal, IsASpanOfTheAuditDialectAndNoneOfVllms) {
  const records::RequestRecord record = refused(R"({"model": "gpt"})");
  const auto dialects = telemetry::make_dialects("vllm,audit", {.served_models = {"tiny"}});
  ASSERT_TRUE(dialects);
  telemetry::SpanIds ids(1);
  std::vector<telemetry::Span> spans;
  (*dialects)[0]->append_spans(record, ids, spans);
  EXPECT_TRUE(spans.empty()) << "vLLM says nothing of a refused request";
  (*dialects)[1]->append_spans(record, ids, spans);
  ASSERT_EQ(spans.size(), 1u);
  const telemetry::Span& span = spans[0];
  EXPECT_EQ(span.status, telemetry::StatusCode::kError);
  EXPECT_EQ(span.end_unix_ns - span.start_unix_ns, 2'000);
  const auto text = [&](const char* key) {
    const telemetry::Value* value = telemetry::find(span.attributes, key);
    return value == nullptr ? std::string("(absent)") : value->text();
  };
  EXPECT_EQ(text("error.type"), "BadRequestError");
  EXPECT_EQ(text("gen_ai.request.model"), "gpt");
  EXPECT_EQ(text("gen_ai.operation.name"), "chat");
  for (const telemetry::KeyValue& attribute : span.attributes) {
    EXPECT_NE(attribute.value.text(), "secret") << "what the client sent is no telemetry";
  }
}

}  // namespace
}  // namespace touchstone::server
