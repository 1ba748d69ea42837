// OTLP/protobuf and OTLP/JSON, against each other, against libprotobuf and against what vLLM sent.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "base/files.h"
#include "telemetry/otlp/file.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/messages.h"
#include "telemetry/otlp/protobuf.h"
#include "tests/support/paths.h"
#include "tests/telemetry/generators.h"

namespace touchstone::telemetry {
namespace {

using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

const std::string kRecordedSpans =
    support::source_dir() + "/fixtures/spans/vllm-0.32.0/spans.otlp.jsonl";

RC_GTEST_PROP(OtlpProtobuf, EveryBatchSurvivesARoundTrip, ()) {
  const TraceBatch batch = *gen_batch();
  const Result<TraceBatch> read = decode_otlp_protobuf(encode_otlp_protobuf(batch));
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == batch);
}

RC_GTEST_PROP(OtlpProtobuf, WritesTheBytesThatLibprotobufWrites, ()) {
  const std::string ours = encode_otlp_protobuf(*gen_batch());
  Request request;
  RC_ASSERT(request.ParseFromString(ours));
  RC_ASSERT(request.SerializeAsString() == ours);
}

RC_GTEST_PROP(OtlpJson, EveryBatchSurvivesARoundTrip, ()) {
  const TraceBatch batch = *gen_batch();
  const std::string line = encode_otlp_json(batch);
  RC_ASSERT(line.find('\n') == std::string::npos);
  const Result<TraceBatch> read = decode_otlp_json(line);
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == batch);
}

TEST(Otlp, TheRecordedSpansAreReadAndSurviveBothForms) {
  const Result<OtlpFile> file = read_otlp_file(kRecordedSpans);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->summary.lines, 5);
  EXPECT_EQ(file->summary.spans, 72);
  EXPECT_TRUE(file->summary.problems.empty());
  const Span& span = file->batch[0].scope_spans[0].spans[0];
  EXPECT_EQ(span.trace_id.hex(), "656abd72fb710734986e86cb0ab8ab67");
  EXPECT_EQ(span.parent_span_id.hex(), "73f778aaf6fa5db8");
  EXPECT_EQ(span.kind, SpanKind::kServer);
  EXPECT_EQ(span.start_unix_ns, 1795254032748998144);
  EXPECT_EQ(span.flags, 768u);
  EXPECT_EQ(*find(span.attributes, "gen_ai.latency.e2e")->number(), 0.19115996360778809);
  EXPECT_EQ(*find(span.attributes, "gen_ai.usage.prompt_tokens")->integer(), 16);
  EXPECT_EQ(*decode_otlp_json(encode_otlp_json(file->batch)), file->batch);
  EXPECT_EQ(*decode_otlp_protobuf(encode_otlp_protobuf(file->batch)), file->batch);
}

TEST(OtlpProtobuf, ReadsNothingButWholeMessages) {
  const Result<OtlpFile> file = read_otlp_file(kRecordedSpans);
  ASSERT_TRUE(file);
  const std::string bytes = encode_otlp_protobuf({file->batch[0]});
  EXPECT_EQ(*decode_otlp_protobuf(""), TraceBatch{});
  for (size_t size = 1; size < bytes.size(); size += 7) {
    EXPECT_FALSE(decode_otlp_protobuf(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_otlp_protobuf(bytes + "\x0f"));
  Request odd;
  auto* span = odd.add_resource_spans()->add_scope_spans()->add_spans();
  span->set_trace_id("short");
  EXPECT_EQ(decode_otlp_protobuf(odd.SerializeAsString()).error().message,
            "trace_id: got 5 bytes, expected 16");
  span->clear_trace_id();
  span->set_end_time_unix_nano(~uint64_t{0});
  EXPECT_EQ(decode_otlp_protobuf(odd.SerializeAsString()).error().message,
            "end_time_unix_nano: got 18446744073709551615, expected nanoseconds below 2^63");
}

TEST(OtlpProtobuf, ReplacesBytesThatWouldLoseTheWholeBatch) {
  Span span;
  span.name =
      "a\xff"
      "b";
  const TraceBatch batch = {{{{{"k\xc0", Value("\xe2\x82")}}}, "", {{{}, "", {span}}}}};
  const Result<TraceBatch> read = decode_otlp_protobuf(encode_otlp_protobuf(batch));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ((*read)[0].scope_spans[0].spans[0].name,
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ((*read)[0].resource.attributes[0].key, "k\xef\xbf\xbd");
  EXPECT_EQ(*(*read)[0].resource.attributes[0].value.string(), "\xef\xbf\xbd")
      << "a character that is cut short is one, as for the tokenizers";
}

std::string in_span(const std::string& fields) {
  return R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"},{)" + fields + "}]}]}]}";
}

TEST(OtlpJson, AcceptsWhatSendersWrite) {
  const std::string rows[] = {
      R"("kind":2,"startTimeUnixNano":"5")",
      R"("kind":"SPAN_KIND_SERVER","start_time_unix_nano":5)",
      R"("kind":2,"startTimeUnixNano":5.0,"traceId":"","parentSpanId":null,"new":{"field":[1]})",
  };
  for (const std::string& row : rows) {
    const Result<TraceBatch> batch = decode_otlp_json(in_span(row));
    ASSERT_TRUE(batch) << row << ": " << batch.error().message;
    const Span& span = (*batch)[0].scope_spans[0].spans[1];
    EXPECT_EQ(span.kind, SpanKind::kServer) << row;
    EXPECT_EQ(span.start_unix_ns, 5) << row;
  }
  EXPECT_EQ(decode_otlp_json(R"({"resource_spans":[{"scope_spans":[{}]}]})")->size(), 1u);
  EXPECT_TRUE(decode_otlp_json("{\"resourceSpans\":null}")->empty());
}

TEST(OtlpJson, TellsTheSignalsApart) {
  OtlpJsonDecoder decoder;
  TraceBatch batch;
  const auto signal = [&](const std::string& text) {
    return decoder.decode(text, batch, [](const std::string&) {});
  };
  EXPECT_EQ(*signal("{\"resourceSpans\":[]}"), OtlpSignal::kTraces);
  EXPECT_EQ(*signal("{\"resourceMetrics\":[]}"), OtlpSignal::kMetrics);
  EXPECT_EQ(*signal("{\"resource_logs\":[],\"x\":1}"), OtlpSignal::kLogs);
  EXPECT_EQ(*signal("{\"resourceProfiles\":[]}"), OtlpSignal::kProfiles);
  for (const char* other :
       {"{}", "{\"resourceSpan\":[]}", "{\"data\":[{\"traceID\":\"1\"}]}", "[]", "7"}) {
    const auto refused = signal(other);
    ASSERT_FALSE(refused) << other;
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported) << other;
  }
  EXPECT_EQ(signal("{\"resourceSpan\":[]}").error().message,
            "got an object with \"resourceSpan\", expected one with resourceSpans, "
            "resourceMetrics, resourceLogs or resourceProfiles");
  EXPECT_TRUE(batch.empty());
}

TEST(OtlpJson, ABadFieldCostsItsSpanAndNoOther) {
  const std::string text = R"({"resourceSpans":[
    {"resource":{"attributes":[{"key":"a","value":{"stringValue":"1"}},{"key":7}]},"scopeSpans":[
      {"scope":{"name":"s"},"spans":[{"name":"x"},{"name":7},{"name":"y"}]},
      {"spans":[{"name":"z"},{"links":[{},{"flags":-1}]}]}]},
    {"instrumentationLibrarySpans":[{"spans":[{"name":"old"}]}]},
    {"scopeSpans":[7,{"spans":[{"name":"last"}]}]}]})";
  OtlpJsonDecoder decoder;
  TraceBatch batch;
  std::vector<std::string> problems;
  ASSERT_TRUE(decoder.decode(text, batch,
                             [&](std::string problem) { problems.push_back(std::move(problem)); }));
  std::string names;
  for (const ResourceSpans& group : batch) {
    for (const ScopeSpans& scope : group.scope_spans) {
      for (const Span& span : scope.spans) names += span.name + " ";
    }
  }
  EXPECT_EQ(names, "x y z last ");
  EXPECT_EQ(*batch[0].resource.attributes[0].value.string(), "1");
  const std::vector<std::string> expected = {
      "resourceSpans[0].resource.attributes[1].key: got 7, expected a string",
      "resourceSpans[0].scopeSpans[0].spans[1].name: got 7, expected a string",
      "resourceSpans[0].scopeSpans[1].spans[1].links[1].flags: got -1, expected flags from 0 to "
      "2^32 - 1",
      "resourceSpans[1].instrumentationLibrarySpans: got [{\"spans\":[{\"name\":\"old\"}]}], "
      "expected scopeSpans, its name since OTLP 0.15",
      "resourceSpans[2].scopeSpans[0]: got 7, expected an object"};
  EXPECT_EQ(problems, expected);
}

RC_GTEST_PROP(OtlpJson, NothingOfABatchIsLeftInTheNext, ()) {
  const TraceBatch first = *gen_batch();
  const TraceBatch second = *gen_batch();
  OtlpJsonDecoder decoder;
  TraceBatch batch;
  for (const TraceBatch* each : {&first, &second, &first}) {
    RC_ASSERT(decoder.decode(encode_otlp_json(*each), batch, [](const std::string&) {}));
    RC_ASSERT(batch == *each);
  }
}

TEST(OtlpJson, ReadsNumbersThatJsonHasNot) {
  const auto number = [](const std::string& value) {
    const auto batch = decode_otlp_json(
        in_span(R"("attributes":[{"key":"k","value":{"doubleValue":)" + value + "}}]"));
    BASE_CHECK(batch.has_value(), batch.error().message);
    return *(*batch)[0].scope_spans[0].spans[1].attributes[0].value.number();
  };
  EXPECT_TRUE(std::isnan(number("\"NaN\"")));
  EXPECT_EQ(number("\"Infinity\""), std::numeric_limits<double>::infinity());
  EXPECT_EQ(number("\"-Infinity\""), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(number("\"1.5\""), 1.5);
  EXPECT_EQ(number("3"), 3.0);
}

TEST(OtlpJson, NamesThePlaceGotAndExpected) {
  const std::string attribute = R"("attributes":[{"key":"k","value":)";
  const std::pair<std::string, std::string> rows[] = {
      {"", "not valid JSON: "},
      {"[]", "got [], expected an object"},
      {"{\"resourceSpans\":{}}", "resourceSpans: got {}, expected a list"},
      {"{\"resourceSpans\":[3]}", "resourceSpans[0]: got 3, expected an object"},
      {in_span(R"("traceId":"xyz")"),
       "resourceSpans[0].scopeSpans[0].spans[1].traceId: got \"xyz\", expected 32 hex digits"},
      {in_span(R"("spanId":7)"),
       "resourceSpans[0].scopeSpans[0].spans[1].spanId: got 7, expected 16 hex digits"},
      {in_span(R"("name":[])"),
       "resourceSpans[0].scopeSpans[0].spans[1].name: got [], expected a string"},
      {in_span(R"("kind":"SERVER")"),
       "resourceSpans[0].scopeSpans[0].spans[1].kind: got \"SERVER\", expected an integer, or a "
       "name that starts with SPAN_KIND_"},
      {in_span(R"("endTimeUnixNano":"-1")"),
       "resourceSpans[0].scopeSpans[0].spans[1].endTimeUnixNano: got \"-1\", expected "
       "nanoseconds from 0 to 2^63 - 1"},
      {in_span(R"("flags":4294967296)"),
       "resourceSpans[0].scopeSpans[0].spans[1].flags: got 4294967296, expected flags"},
      {in_span(attribute + R"({"intValue":"1.5"}}])"),
       "resourceSpans[0].scopeSpans[0].spans[1].attributes[0].value.intValue: got \"1.5\""},
      {in_span(attribute + R"({"intValue":"9223372036854775808"}}])"),
       "resourceSpans[0].scopeSpans[0].spans[1].attributes[0].value.intValue: got "},
      {in_span(attribute + R"({"arrayValue":{"values":[{"boolValue":1}]}}}])"),
       "resourceSpans[0].scopeSpans[0].spans[1].attributes[0].value.arrayValue.values[0]."
       "boolValue: got 1, expected true or false"},
      {in_span(attribute + R"({"bytesValue":"***"}}])"),
       "resourceSpans[0].scopeSpans[0].spans[1].attributes[0].value.bytesValue: got \"***\", "
       "expected base64"},
      {in_span(R"("status":{"code":"OK"})"),
       "resourceSpans[0].scopeSpans[0].spans[1].status.code: got \"OK\""},
      {in_span("\"name\":\"\xff\""), "not valid JSON: "},
  };
  for (const auto& [text, message] : rows) {
    const Result<TraceBatch> batch = decode_otlp_json(text);
    ASSERT_FALSE(batch) << text;
    EXPECT_EQ(batch.error().message.substr(0, message.size()), message);
  }
}

TEST(OtlpJson, DeepNestingIsAnErrorNotACrash) {
  std::string text = in_span(R"("attributes":[{"key":"k","value":@}])");
  std::string value;
  for (int i = 0; i < 100000; ++i) value += R"({"arrayValue":{"values":[)";
  text.replace(text.find('@'), 1, value);
  EXPECT_FALSE(decode_otlp_json(text));
}

}  // namespace
}  // namespace touchstone::telemetry
