#include "telemetry/dialects/dialect.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "telemetry/otlp/file.h"
#include "telemetry/otlp/json.h"
#include "telemetry/resource.h"
#include "tests/support/paths.h"

namespace touchstone::telemetry {
namespace {

const std::string kRecordedSpans =
    support::source_dir() + "/fixtures/spans/vllm-0.32.0/spans.otlp.jsonl";

records::RequestRecord record_at_seconds() {
  records::RequestRecord record;
  record.request_id = "cmpl-x-0";
  record.arrival_unix_ns = 1'795'254'032 * kNsPerSecond;
  record.arrival_ns = 10 * kNsPerSecond;
  record.queued_ns = 11 * kNsPerSecond;
  record.first_scheduled_ns = 13 * kNsPerSecond;
  record.first_token_ns = 16 * kNsPerSecond;
  record.last_token_ns = 21 * kNsPerSecond;
  record.finished_ns = 22 * kNsPerSecond;
  record.prompt_tokens = 40;
  record.completion_tokens = 8;
  record.max_tokens = 9;
  record.top_p = 1.0;
  record.temperature = 0.0;
  record.n = 2;
  return record;
}

/// A record that must give a span like `recorded`, times aside.
records::RequestRecord equivalent(const Span& recorded) {
  records::RequestRecord record = record_at_seconds();
  const auto integer = [&](const char* key) { return *find(recorded.attributes, key)->integer(); };
  record.request_id = *find(recorded.attributes, "gen_ai.request.id")->string();
  record.prompt_tokens = integer("gen_ai.usage.prompt_tokens");
  record.completion_tokens = integer("gen_ai.usage.completion_tokens");
  record.max_tokens = integer("gen_ai.request.max_tokens");
  record.top_p = *find(recorded.attributes, "gen_ai.request.top_p")->number();
  const Value* temperature = find(recorded.attributes, "gen_ai.request.temperature");
  record.temperature = temperature == nullptr ? 0.0 : *temperature->number();
  if (recorded.parent_span_id.is_valid()) {
    record.trace = records::TraceContext{recorded.trace_id, recorded.parent_span_id, kFlagSampled,
                                         recorded.trace_state};
  }
  return record;
}

std::vector<Span> spans_of(const records::RequestRecord& record) {
  SpanIds ids(7);
  std::vector<Span> spans;
  vllm_dialect().make({})->append_spans(record, ids, spans);
  return spans;
}

TEST(VllmDialect, GivesTheRecordedSpanForEachEquivalentRecord) {
  const Result<OtlpFile> file = read_otlp_file(kRecordedSpans);
  ASSERT_TRUE(file) << file.error().message;
  const std::string latency = "gen_ai.latency.";
  int compared = 0;
  for (const ResourceSpans& group : file->batch) {
    ASSERT_EQ(group.scope_spans.size(), 1u);
    EXPECT_EQ(group.scope_spans[0].scope, vllm_dialect().make({})->origin().scope);
    for (const Span& recorded : group.scope_spans[0].spans) {
      const std::vector<Span> spans = spans_of(equivalent(recorded));
      ASSERT_EQ(spans.size(), 1u);
      Span expected = recorded;
      Span ours = spans[0];
      // What cannot be equal: the times, and ids that nobody gave.
      expected.start_unix_ns = ours.start_unix_ns;
      expected.end_unix_ns = ours.end_unix_ns;
      expected.span_id = ours.span_id;
      if (!expected.parent_span_id.is_valid()) expected.trace_id = ours.trace_id;
      ASSERT_EQ(ours.attributes.size(), expected.attributes.size());
      for (size_t i = 0; i < ours.attributes.size(); ++i) {
        KeyValue& theirs = expected.attributes[i];
        EXPECT_STREQ(theirs.value.type_name(), ours.attributes[i].value.type_name());
        if (theirs.key.starts_with(latency)) theirs.value = ours.attributes[i].value;
      }
      EXPECT_EQ(ours, expected) << recorded.trace_id.hex();
      ++compared;
    }
  }
  EXPECT_EQ(compared, 72);
}

TEST(VllmDialect, ComputesTheLatencies) {
  const std::vector<Span> spans = spans_of(record_at_seconds());
  ASSERT_EQ(spans.size(), 1u);
  const auto seconds = [&](const std::string& key) {
    return *find(spans[0].attributes, "gen_ai.latency." + key)->number();
  };
  EXPECT_EQ(seconds("time_to_first_token"), 6);
  EXPECT_EQ(seconds("e2e"), 12);
  EXPECT_EQ(seconds("time_in_queue"), 2);
  EXPECT_EQ(seconds("time_in_model_prefill"), 3);
  EXPECT_EQ(seconds("time_in_model_decode"), 5);
  EXPECT_EQ(seconds("time_in_model_inference"), 8);
  EXPECT_EQ(spans[0].start_unix_ns, 1'795'254'032 * kNsPerSecond);
  EXPECT_EQ(spans[0].end_unix_ns, 1'795'254'044 * kNsPerSecond);
  EXPECT_EQ(*find(spans[0].attributes, "gen_ai.request.n")->integer(), 1);
  EXPECT_EQ(find(spans[0].attributes, "gen_ai.request.temperature"), nullptr);
}

TEST(VllmDialect, HasNoSpanForWhatVllmDoesNotTrace) {
  records::RequestRecord record = record_at_seconds();
  for (const records::Outcome outcome : {records::Outcome::kAbort, records::Outcome::kRefused}) {
    record.outcome = outcome;
    EXPECT_TRUE(spans_of(record).empty());
  }
  record.outcome = records::Outcome::kError;
  EXPECT_EQ(spans_of(record).size(), 1u);
  record.trace = records::TraceContext{};
  EXPECT_TRUE(spans_of(record).empty()) << "the caller does not sample";
  record.trace->flags = 1;
  EXPECT_EQ(spans_of(record).size(), 1u);
}

TEST(VllmDialect, ARequestThatNeverRanHasZeroTimes) {
  records::RequestRecord record;
  record.outcome = records::Outcome::kError;
  const std::vector<Span> spans = spans_of(record);
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(*find(spans[0].attributes, "gen_ai.latency.time_to_first_token")->number(), 0);
  EXPECT_EQ(find(spans[0].attributes, "gen_ai.request.max_tokens"), nullptr);
}

TEST(VllmV0Dialect, HasTheOlderKeysWithZerosToo) {
  records::RequestRecord record = record_at_seconds();
  record.model = "tiny";
  const auto v0_spans = [&] {
    SpanIds ids(7);
    std::vector<Span> spans;
    vllm_v0_dialect().make({})->append_spans(record, ids, spans);
    return spans;
  };
  const std::vector<Span> spans = v0_spans();
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].name, "llm_request");
  EXPECT_EQ(spans[0].kind, SpanKind::kServer);
  EXPECT_EQ(spans[0].attributes, (Attributes{{"gen_ai.response.model", "tiny"},
                                             {"gen_ai.request.id", "cmpl-x-0"},
                                             {"gen_ai.request.temperature", 0.0},
                                             {"gen_ai.request.top_p", 1.0},
                                             {"gen_ai.request.max_tokens", 9},
                                             {"gen_ai.request.n", 1},
                                             {"gen_ai.usage.num_sequences", 1},
                                             {"gen_ai.usage.prompt_tokens", 40},
                                             {"gen_ai.usage.completion_tokens", 8},
                                             {"gen_ai.latency.time_in_queue", 3.0},
                                             {"gen_ai.latency.time_to_first_token", 6.0},
                                             {"gen_ai.latency.e2e", 12.0}}));
  for (const records::Outcome outcome :
       {records::Outcome::kStop, records::Outcome::kLength, records::Outcome::kError}) {
    record.outcome = outcome;
    EXPECT_EQ(v0_spans().size(), 1u) << to_string(outcome);
  }
  for (const records::Outcome outcome : {records::Outcome::kAbort, records::Outcome::kRefused}) {
    record.outcome = outcome;
    EXPECT_TRUE(v0_spans().empty()) << to_string(outcome);
  }
  record.outcome = records::Outcome::kStop;
  record.trace = records::TraceContext{};
  EXPECT_TRUE(v0_spans().empty()) << "the caller does not sample";
}

TEST(Dialects, SeveralAreMadeByNameEachUnderItsOwnScope) {
  const auto made = make_dialects("vllm, audit", {});
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->size(), 2u);
  EXPECT_EQ((*made)[0]->origin().scope.name, "vllm.tracing.otel");
  EXPECT_EQ((*made)[1]->origin().scope.name, "touchstone.audit");
  std::set<std::string> scopes;
  for (const DialectRow& row : dialect_rows()) scopes.insert(row.make({})->origin().scope.name);
  EXPECT_EQ(scopes.size(), dialect_rows().size()) << "profiles tell dialects apart by scope";
}

TEST(Dialects, NoneTellsWhatWasSaid) {
  records::RequestRecord record = record_at_seconds();
  record.model = "tiny";
  record.stop_reason = "confidential";  // the one word of a completion that a record may hold
  for (const DialectRow& row : dialect_rows()) {
    for (const records::Outcome outcome : {records::Outcome::kStop, records::Outcome::kAbort}) {
      record.outcome = outcome;
      SpanIds ids(7);
      ScopeSpans scope;
      row.make({})->append_spans(record, ids, scope.spans);
      const std::string sent = encode_otlp_json({{{}, "", {scope}}});
      EXPECT_EQ(sent.find("confidential"), std::string::npos) << row.name << ": " << sent;
    }
  }
}

TEST(Dialects, BadNamesAreRefused) {
  const struct {
    const char* names;
    const char* message;
    const char* hint;
  } rows[] = {{"vlm",
               "span dialect: got \"vlm\", expected one or several of: vllm, vllm-v0, audit, "
               "phases, tutorial, genai, http",
               "did you mean \"vllm\"?"},
              {"vllm,vllm", "span dialect: got \"vllm\" twice, expected each once", ""},
              {"",
               "span dialect: got \"\", expected one or several of: vllm, vllm-v0, audit, phases, "
               "tutorial, genai, http",
               ""}};
  for (const auto& row : rows) {
    const auto made = make_dialects(row.names, {});
    ASSERT_FALSE(made) << row.names;
    EXPECT_EQ(made.error().message, row.message);
    EXPECT_EQ(made.error().hint, row.hint);
  }
}

std::vector<Span> audit_spans_of(const records::RequestRecord& record) {
  SpanIds ids(7);
  std::vector<Span> spans;
  audit_dialect().make({})->append_spans(record, ids, spans);
  return spans;
}

std::string text_of(const Span& span, const char* key) {
  const Value* value = find(span.attributes, key);
  return value == nullptr ? "absent" : value->text();
}

TEST(AuditDialect, IsVllmsSpanAndNamesModelOperationAndEnd) {
  records::RequestRecord record = record_at_seconds();
  record.model = "tiny";
  record.endpoint = "/v1/chat/completions";
  record.outcome = records::Outcome::kLength;
  const std::vector<Span> spans = audit_spans_of(record);
  ASSERT_EQ(spans.size(), 1u);
  const Span vllm = spans_of(record)[0];
  for (size_t i = 0; i < vllm.attributes.size(); ++i) {
    EXPECT_EQ(spans[0].attributes[i], vllm.attributes[i]);
  }
  EXPECT_EQ(spans[0].name, vllm.name);
  EXPECT_EQ(text_of(spans[0], "gen_ai.model.id"), "tiny");
  EXPECT_EQ(text_of(spans[0], "gen_ai.system"), "vllm");
  EXPECT_EQ(text_of(spans[0], "gen_ai.request.model"), "tiny");
  EXPECT_EQ(text_of(spans[0], "gen_ai.response.model"), "tiny");
  EXPECT_EQ(find(spans[0].attributes, "gen_ai.response.finish_reasons")->data,
            Value(Value::Array{Value("length")}).data);
  EXPECT_EQ(text_of(spans[0], "gen_ai.operation.name"), "chat");
  EXPECT_EQ(text_of(spans[0], "error.type"), "absent");
  EXPECT_EQ(spans[0].status, StatusCode::kUnset);
  record.endpoint = "/v1/completions";
  EXPECT_EQ(text_of(audit_spans_of(record)[0], "gen_ai.operation.name"), "text_completion");
}

TEST(AuditDialect, StandsForWhatVllmForgets) {
  records::RequestRecord record = record_at_seconds();
  const struct {
    records::Outcome outcome;
    int64_t status;
    const char* error;
    const char* error_type;
  } rows[] = {{records::Outcome::kAbort, 200, "", "client_disconnected"},
              {records::Outcome::kRefused, 400, "BadRequestError", "BadRequestError"},
              {records::Outcome::kRefused, 503, "", "503"},
              {records::Outcome::kError, 500, "InternalServerError", "InternalServerError"}};
  for (const auto& row : rows) {
    record.outcome = row.outcome;
    record.http_status = row.status;
    record.error_type = row.error;
    const std::vector<Span> spans = audit_spans_of(record);
    ASSERT_EQ(spans.size(), 1u) << row.error_type;
    EXPECT_EQ(spans[0].status, StatusCode::kError);
    EXPECT_EQ(text_of(spans[0], "error.type"), row.error_type);
    EXPECT_EQ(find(spans[0].attributes, "gen_ai.response.finish_reasons")->data,
              Value(Value::Array{Value(to_string(row.outcome))}).data);
  }
  record.trace = records::TraceContext{};
  EXPECT_TRUE(audit_spans_of(record).empty()) << "the caller wants no span";
}

TEST(AuditDialect, CountsEveryRequestUnderBoundedLabels) {
  const auto metrics = audit_dialect().make({.served_models = {"tiny"}})->make_metrics(0);
  ASSERT_NE(metrics, nullptr);
  std::string before;
  metrics->render(before);
  records::RequestRecord record = record_at_seconds();
  record.model = "tiny";
  record.outcome = records::Outcome::kAbort;
  metrics->on_finish(record);
  for (int i = 0; i < 100; ++i) {
    record.model = "invented-" + std::to_string(i);
    record.outcome = records::Outcome::kRefused;
    metrics->on_finish(record);
  }
  std::string page;
  metrics->render(page);
  EXPECT_NE(page.find(R"(touchstone_audit_requests_total{model_name="tiny",outcome="abort"} 1.0)"),
            std::string::npos)
      << page;
  EXPECT_NE(
      page.find(R"(touchstone_audit_requests_total{model_name="other",outcome="refused"} 100.0)"),
      std::string::npos)
      << page;
  EXPECT_EQ(std::count(page.begin(), page.end(), '\n'),
            std::count(before.begin(), before.end(), '\n'));
}

TEST(SpanIds, AreReproducibleAndDiffer) {
  SpanIds first(1), again(1), other(2);
  const TraceId id = first.next_trace_id();
  EXPECT_TRUE(id.is_valid());
  EXPECT_EQ(id, again.next_trace_id());
  EXPECT_NE(id, other.next_trace_id());
  EXPECT_NE(first.next_span_id(), first.next_span_id());
}

TEST(Resource, HasTheRecordedKeysInTheirOrder) {
  const Result<OtlpFile> file = read_otlp_file(kRecordedSpans);
  ASSERT_TRUE(file);
  const ResourceResult ours = make_vllm_resource(
      {"fc94e57c-6fbd-47a9-9707-97e65c923ccb",
       15699,
       {{"OTEL_SERVICE_NAME", "vllm-inference"},
        {"OTEL_RESOURCE_ATTRIBUTES",
         "service.namespace=llm,service.version=0.32.0,deployment.environment.name=test,"
         "cloud.region=eu-central,vllm.gpu_model=cpu"}}});
  EXPECT_TRUE(ours.warnings.empty());
  Attributes expected = file->batch[0].resource.attributes;
  // The SDK is ours and says so.
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(expected[i].key.starts_with("telemetry.sdk."));
    expected[i].value = ours.resource.attributes[i].value;
  }
  EXPECT_EQ(ours.resource.attributes, expected);
}

TEST(Resource, TakesServiceNameFromTheAttributesAndReportsWhatItSkips) {
  const ResourceResult result = make_vllm_resource(
      {"id", 1, {{"OTEL_RESOURCE_ATTRIBUTES", " service.name = a%20b%zz ,broken,=x, ,k=v=w"}}});
  EXPECT_EQ(*find(result.resource.attributes, "service.name")->string(), "a b%zz");
  EXPECT_EQ(*find(result.resource.attributes, "k")->string(), "v=w");
  ASSERT_EQ(result.warnings.size(), 2u);
  EXPECT_EQ(result.warnings[0],
            "OTEL_RESOURCE_ATTRIBUTES: got \"broken\", expected key=value; left out");
  EXPECT_EQ(*find(make_vllm_resource({}).resource.attributes, "service.name")->string(),
            "unknown_service");
}

}  // namespace
}  // namespace touchstone::telemetry
