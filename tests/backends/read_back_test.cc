// Spans read back from backends are those that were sent, whatever an API's page is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "harness/backends/backend.h"
#include "harness/backends/trace_windows.h"
#include "harness/sink/sink.h"
#include "telemetry/export/span_log.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/tempo.h"
#include "tests/backends/scripted_backend.h"
#include "tests/backends/spans.h"
#include "tests/support/http_client.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;

struct Read {
  telemetry::TraceBatch batch;
  std::vector<std::string> problems;
  std::string error;
};

Read read_back(const std::string& backend, const TimeWindow& window) {
  auto address = parse_backend(backend);
  EXPECT_TRUE(address.has_value()) << backend;
  Read read;
  const auto done =
      kind_of(*address).make(*address)->read(window, [&](const telemetry::TraceBatch& batch) {
        read.batch.insert(read.batch.end(), batch.begin(), batch.end());
        return Status();
      });
  if (done) {
    read.problems = done->problems;
    EXPECT_EQ(done->spans, telemetry::span_count(read.batch));
  } else {
    read.error = done.error().message;
  }
  return read;
}

http::HttpResponse json_answer(const json& body, int status = 200) {
  return {status, "application/json", {}, body.dump()};
}

class SinkBackend : public ::testing::Test {
 protected:
  SinkBackend() {
    SinkOptions options;
    options.grpc = "127.0.0.1:0";
    options.http = {"127.0.0.1:0"};
    sink_ = *Sink::start(options, clock_);
  }
  void send(const telemetry::TraceBatch& batch) {
    const auto answer = testing::HttpClient(sink_->http_ports()[0])
                            .exchange("POST", "/v1/traces", telemetry::encode_otlp_json(batch),
                                      {{"content-type", "application/json"}});
    ASSERT_EQ(answer.status, 200) << answer.body;
  }
  std::string named(const std::string& kind) const {
    return kind + "=http://127.0.0.1:" + std::to_string(sink_->http_ports()[0]) + "/";
  }

  const RealClock clock_;
  std::unique_ptr<Sink> sink_;
};

TEST_F(SinkBackend, GivesEverySpanOfEveryServiceOnce) {
  send(recorded_spans());
  send(odd_span());
  telemetry::TraceBatch all = recorded_spans();
  all.push_back(odd_span().front());
  for (const char* kind : {"sink", "jaeger"}) {
    const Read read = read_back(named(kind), {0, clock_.unix_ns()});
    EXPECT_EQ(as_texts(read.batch), as_texts(all)) << read.error;
    EXPECT_TRUE(read.problems.empty());
  }
}

TEST_F(SinkBackend, ReadsMoreTracesThanOneAnswerHolds) {
  const int64_t start = 1'795'614'916'000'000'000;
  send(many_traces(1800, start));
  const Read all = read_back(named("sink"), {0, clock_.unix_ns()});
  EXPECT_EQ(as_texts(all.batch), as_texts(many_traces(1800, start))) << all.error;
  const Read some = read_back(named("sink"), {start + 10 * kNsPerMs, start + 30 * kNsPerMs});
  EXPECT_EQ(telemetry::span_count(some.batch), 20) << "half open";
}

TEST_F(SinkBackend, SaysWhenMoreTracesBeginAtOnceThanCanBeRead) {
  auto batch = many_traces(600, 0);
  for (auto& span : batch[0].scope_spans[0].spans) span.start_unix_ns = 5 * kNsPerSecond;
  send(batch);
  const Read read = read_back(named("sink"), {0, 10 * kNsPerSecond});
  ASSERT_EQ(read.problems.size(), 1u);
  EXPECT_THAT(read.problems[0], ::testing::HasSubstr("there are 500 traces or more"));
}

TEST(Backends, SayWhatIsWrongWithAnAddressOrAnAnswer) {
  EXPECT_THAT(parse_backend("jaeger").error().message, ::testing::HasSubstr("expected NAME=URL"));
  EXPECT_THAT(
      parse_backend("zipkin=http://x").error().message,
      ::testing::HasSubstr("expected one of sink, jaeger, tempo, signoz, ndjson, clickhouse"));
  ScriptedBackend refuses([](const auto&, const auto&) { return json_answer("no key", 401); });
  EXPECT_THAT(read_back("jaeger=" + refuses.url(), {}).error,
              ::testing::HasSubstr("got status 401"));
  ScriptedBackend other([](const auto&, const auto&) { return json_answer(json::array()); });
  for (const char* kind : {"jaeger=", "tempo=", "signoz="}) {
    EXPECT_THAT(read_back(kind + other.url(), {0, kNsPerSecond}).error,
                ::testing::HasSubstr("got an answer of another kind"))
        << kind;
  }
}

TEST(Backends, NdjsonIsReadAsTheSpanLogWritesIt) {
  const TemporaryDirectory folder = *TemporaryDirectory::make("touchstone-ndjson");
  const std::string path = folder.path() + "/spans.ndjson";
  std::string text;
  std::vector<std::string> expected;
  for (const auto& group : recorded_spans()) {
    for (const auto& span : group.scope_spans[0].spans) {
      text += telemetry::span_log_line(span, "vllm-inference") + "\n";
      telemetry::Span kept = span;  // what the form has
      kept.flags = 0;
      kept.kind = telemetry::SpanKind::kUnspecified;
      kept.events.clear();
      for (auto& one : kept.attributes) {
        const double* number = one.value.number();
        if (number != nullptr && *number == static_cast<double>(static_cast<int64_t>(*number))) {
          one.value = telemetry::Value(static_cast<int64_t>(*number));
        }
      }
      kept.status_message.clear();
      expected.push_back(
          as_texts({{{{{"service.name", "vllm-inference"}}, 0}, {}, {{{}, {}, {kept}}}}})[0]);
    }
  }
  std::sort(expected.begin(), expected.end());
  text += "{\"trace_id\": 7}\nno JSON\n";
  ASSERT_TRUE(write_file_atomic(path, text).has_value());
  const Read read = read_back("ndjson=" + path, {0, INT64_MAX});
  EXPECT_EQ(as_texts(read.batch), expected) << read.error;
  ASSERT_EQ(read.problems.size(), 2u);
  EXPECT_THAT(read.problems[0], ::testing::HasSubstr("spans.ndjson:16: expected trace_id"));
  EXPECT_THAT(read.problems[1], ::testing::HasSubstr("spans.ndjson:17: got no JSON object"));
}

TEST(Windows, AreHalvedUntilEachIsWhole) {
  std::vector<std::pair<int64_t, int64_t>> asked;
  std::vector<std::string> problems;
  // A trace at 3 s, five at 6 s; an answer holds four.
  const Status done = for_each_window(
      {0, 8 * kNsPerSecond}, 4, kNsPerSecond,
      [&](const TimeWindow& window) -> Result<int64_t> {
        asked.emplace_back(window.start_unix_ns / kNsPerSecond, window.end_unix_ns / kNsPerSecond);
        const int64_t found =
            window.contains(3 * kNsPerSecond) + 5 * window.contains(6 * kNsPerSecond);
        return std::min<int64_t>(found, 4);
      },
      problems);
  ASSERT_TRUE(done.has_value());
  const std::vector<std::pair<int64_t, int64_t>> expected = {{0, 8}, {0, 4}, {4, 8}, {4, 6},
                                                             {6, 8}, {6, 7}, {7, 8}};
  EXPECT_EQ(asked, expected);
  EXPECT_EQ(problems.size(), 1u) << "six seconds hold more than can be read";
}

/// As Tempo's documentation has it: a search by whole seconds, ids without leading zeros, a trace
/// by its id as protobuf.
class TempoStandIn final {
 public:
  explicit TempoStandIn(const telemetry::TraceBatch& spans) {
    for (const telemetry::ResourceSpans& group : spans) {
      for (const telemetry::ScopeSpans& scoped : group.scope_spans) {
        for (const telemetry::Span& span : scoped.spans) {
          traces_[span.trace_id.hex()].push_back(
              {group.resource, {}, {{scoped.scope, {}, {span}}}});
        }
      }
    }
  }
  bool partial = false;

  http::HttpResponse answer(const http::HttpRequest& request, const http::Query& query) const {
    if (request.path == "/api/search") return search(query);
    EXPECT_EQ(request.path.substr(0, 15), "/api/v2/traces/");
    EXPECT_EQ(request.header("accept"), "application/protobuf");
    const auto known = traces_.find(request.path.substr(15));
    if (known == traces_.end()) return json_answer({}, 404);
    return {200,
            "application/protobuf",
            {},
            telemetry::encode_tempo_trace({known->second, partial, partial ? "too large" : ""})};
  }

 private:
  http::HttpResponse search(const http::Query& query) const {
    EXPECT_EQ(query.value({"q"}), "{}");
    const int64_t start = *parse_int(query.value({"start"}).value());
    const int64_t end = *parse_int(query.value({"end"}).value());
    json found = json::array();
    for (const auto& [id, batch] : traces_) {
      const int64_t at = batch[0].scope_spans[0].spans[0].start_unix_ns / kNsPerSecond;
      if (at < start || at >= end) continue;
      found.push_back({{"traceID", id.substr(id.find_first_not_of('0'))}});
      if (static_cast<int64_t>(found.size()) == *parse_int(query.value({"limit"}).value())) break;
    }
    return json_answer({{"traces", found}, {"metrics", json::object()}});
  }

  std::map<std::string, telemetry::TraceBatch> traces_;
};

TEST(Tempo, IsSearchedBySecondsAndGivesEveryTraceOnce) {
  auto spans = recorded_spans();
  spans.push_back(odd_span().front());
  for (auto& group : spans) {
    group.schema_url.clear();
    for (auto& scoped : group.scope_spans) scoped.schema_url.clear();
  }
  auto many = many_traces(500, 1'795'614'900'000'000'000);
  for (auto& span : many[0].scope_spans[0].spans) {  // over fifty seconds
    span.start_unix_ns += (span.start_unix_ns - 1'795'614'900'000'000'000) * 99;
    span.end_unix_ns = span.start_unix_ns + kNsPerMs;
  }
  spans.insert(spans.end(), many.begin(), many.end());
  TempoStandIn tempo(spans);
  ScriptedBackend server(
      [&](const auto& request, const auto& query) { return tempo.answer(request, query); });
  const TimeWindow window{1'795'614'000'000'000'000, 1'795'620'000'000'000'000};
  const Read read = read_back("tempo=" + server.url(), window);
  EXPECT_EQ(as_texts(read.batch), as_texts(spans)) << read.error;
  EXPECT_TRUE(read.problems.empty());
}

TEST(Tempo, SaysWhenASecondHoldsMoreThanItGives) {
  TempoStandIn tempo(many_traces(900, 1'795'614'900'000'000'000));
  ScriptedBackend server(
      [&](const auto& request, const auto& query) { return tempo.answer(request, query); });
  const Read read =
      read_back("tempo=" + server.url(), {1'795'614'000'000'000'000, 1'795'620'000'000'000'000});
  EXPECT_EQ(telemetry::span_count(read.batch), 200) << read.error;
  ASSERT_EQ(read.problems.size(), 1u);
  EXPECT_THAT(read.problems[0], ::testing::HasSubstr("200 traces or more"));
}

TEST(Tempo, APartOfATraceIsAProblemOfTheInput) {
  TempoStandIn tempo(odd_span());
  tempo.partial = true;
  ScriptedBackend server(
      [&](const auto& request, const auto& query) { return tempo.answer(request, query); });
  const Read read =
      read_back("tempo=" + server.url(), {1'795'614'000'000'000'000, 1'795'620'000'000'000'000});
  ASSERT_EQ(read.problems.size(), 1u) << read.error;
  EXPECT_THAT(read.problems[0], ::testing::HasSubstr("Tempo gave a part of the trace: too large"));
}

}  // namespace
}  // namespace touchstone::harness
