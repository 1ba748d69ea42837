// The sink: what is sent over every transport comes back by every query, within its memory.
#include "harness/sink/sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "telemetry/export/transports.h"
#include "telemetry/otlp/file.h"
#include "telemetry/otlp/json.h"
#include "telemetry/otlp/protobuf.h"
#include "tests/backends/command.h"
#include "tests/backends/spans.h"
#include "tests/support/http_client.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;
using telemetry::SendResult;
using testing::HttpAnswer;
using testing::HttpClient;

constexpr int64_t kLong = 30 * kNsPerSecond;
constexpr char kAllTimes[] =
    "&query.startTimeMin=2000-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00Z";

class SinkTest : public ::testing::Test {
 protected:
  void start(SinkOptions options = {}) {
    options.grpc = "127.0.0.1:0";
    options.http = {"127.0.0.1:0"};
    auto sink = Sink::start(options, clock_);
    ASSERT_TRUE(sink.has_value()) << sink.error().message;
    sink_ = *std::move(sink);
  }

  SendResult send(const telemetry::TraceBatch& batch, const std::string& protocol = "grpc",
                  bool gzip = false) {
    const int port = protocol == "grpc" ? sink_->grpc_port() : sink_->http_ports().front();
    telemetry::OtlpOptions options;
    options.protocol = protocol;
    options.endpoint =
        *telemetry::parse_otlp_endpoint("http://127.0.0.1:" + std::to_string(port), protocol);
    options.gzip = gzip;
    for (const telemetry::TransportRow& row : telemetry::transport_rows()) {
      if (row.protocol != protocol) continue;
      auto transport = row.make(options);
      EXPECT_TRUE(transport.has_value());
      return (*transport)
          ->send(telemetry::Signal::kTraces, telemetry::encode_otlp_protobuf(batch), kLong);
    }
    ADD_FAILURE() << "no transport for " << protocol;
    return {};
  }

  HttpAnswer get(const std::string& target) {
    return HttpClient(sink_->http_ports().front()).exchange("GET", target);
  }
  json get_json(const std::string& target) {
    const HttpAnswer answer = get(target);
    EXPECT_EQ(answer.status, 200) << target << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  telemetry::TraceBatch everything_of(const std::string& service) {
    const json tree = get_json("/api/v3/traces?query.serviceName=" + service + kAllTimes +
                               "&query.searchDepth=1000");
    auto batch = telemetry::decode_otlp_json(tree["result"].dump());
    EXPECT_TRUE(batch.has_value()) << tree;
    return batch ? *batch : telemetry::TraceBatch();
  }

  const RealClock clock_;
  std::unique_ptr<Sink> sink_;
};

TEST_F(SinkTest, GivesBackWhatEveryTransportBrought) {
  for (const telemetry::TransportRow& row : telemetry::transport_rows()) {
    for (const bool gzip : {false, true}) {
      SCOPED_TRACE(std::string(row.protocol) + (gzip ? " gzip" : ""));
      start();
      const SendResult sent = send(recorded_spans(), std::string(row.protocol), gzip);
      ASSERT_EQ(sent.outcome, SendResult::Outcome::kDelivered) << sent.problem;
      ASSERT_EQ(send(odd_span(), std::string(row.protocol), gzip).outcome,
                SendResult::Outcome::kDelivered);
      EXPECT_EQ(as_texts(everything_of("vllm-inference")), as_texts(recorded_spans()));
      EXPECT_EQ(as_texts(everything_of("odd")), as_texts(odd_span()));
      EXPECT_EQ(sink_->counters().received, telemetry::span_count(recorded_spans()) + 1);
    }
  }
}

TEST_F(SinkTest, AnswersAuditScriptsWithTheResourcesKeysMerged) {
  start();
  auto batch = recorded_spans();
  batch.front().scope_spans[0].spans[0].attributes.push_back({"deployment.region", "its own"});
  const auto first = batch.front().scope_spans[0].spans[0];
  send(batch);
  const std::string ms = std::to_string(first.start_unix_ns / kNsPerMs);
  const json one = get_json("/api/v1/spans?service=vllm-inference&start=" + ms + "&end=" + ms);
  ASSERT_EQ(one["spans"].size(), 1u) << one;
  const json span = one["spans"][0];
  EXPECT_EQ(span["name"], "llm_request");
  EXPECT_EQ(span["trace_id"], first.trace_id.hex());
  EXPECT_EQ(span["attributes"]["gen_ai.model.id"], "touchstone-tiny");
  EXPECT_EQ(span["attributes"]["gen_ai.usage.prompt_tokens"], 10);
  EXPECT_EQ(span["attributes"]["gen_ai.response.finish_reasons"], json({"length"}));
  EXPECT_EQ(span["attributes"]["cloud.region"], "eu-central") << "of the resource";
  EXPECT_EQ(span["attributes"]["deployment.region"], "its own") << "the span's wins";
  const json two = get_json("/api/v1/spans?service=vllm-inference&limit=2");
  ASSERT_EQ(two["spans"].size(), 2u);
  EXPECT_GE(two["spans"][0]["start_time_ns"], two["spans"][1]["start_time_ns"]) << "latest first";
  EXPECT_EQ(get_json("/api/v1/spans?service=other")["spans"].size(), 0u);
  EXPECT_EQ(get("/api/v1/spans?start=soon").status, 400);
}

TEST_F(SinkTest, SpeaksJaegersOlderApi) {
  start();
  send(odd_span());
  EXPECT_EQ(get_json("/api/services")["data"], json({"odd"}));
  EXPECT_EQ(get_json("/api/services/odd/operations")["data"], json({"x"}));
  EXPECT_EQ(get_json("/api/operations?service=odd")["data"],
            json::parse(R"([{"name":"x","spanKind":"internal"}])"));
  const json found = get_json(
      "/api/traces?service=odd&operation=x&limit=5&minDuration=1ms&tag=text:t&start=" +
      std::to_string(1'795'614'916'544'268) + "&end=" + std::to_string(1'795'614'916'544'268));
  ASSERT_EQ(found["data"].size(), 1u) << found;
  const json span = found["data"][0]["spans"][0];
  EXPECT_EQ(span["startTime"], 1'795'614'916'544'268);
  EXPECT_EQ(span["duration"], 179'074);
  EXPECT_EQ(span["operationName"], "x");
  EXPECT_EQ(found["data"][0]["processes"][span["processID"].get<std::string>()]["serviceName"],
            "odd");
  EXPECT_THAT(span["tags"],
              ::testing::Contains(json::parse(R"({"key":"error","type":"bool","value":true})")));
  EXPECT_EQ(get_json("/api/traces/000000000000000000000000000000aa")["data"][0], found["data"][0]);
  EXPECT_EQ(get("/api/traces/000000000000000000000000000000ab").status, 404);
  EXPECT_EQ(get_json("/api/traces?service=odd&tag=text:u")["data"].size(), 0u);
  EXPECT_EQ(get_json("/api/traces?service=odd&minDuration=1s")["data"].size(), 0u);
  EXPECT_EQ(get("/api/traces").status, 400) << "a service is asked for";
}

TEST_F(SinkTest, SpeaksJaegersCurrentApi) {
  start();
  send(odd_span());
  EXPECT_EQ(get_json("/api/v3/services"), json({{"services", {"odd"}}}));
  EXPECT_EQ(get_json("/api/v3/operations?service=odd"),
            json::parse(R"({"operations":[{"name":"x","spanKind":"internal"}]})"));
  const json trace = get_json("/api/v3/traces/000000000000000000000000000000aa");
  EXPECT_EQ(as_texts(*telemetry::decode_otlp_json(trace["result"].dump())), as_texts(odd_span()));
  EXPECT_EQ(get("/api/v3/traces/000000000000000000000000000000ab").status, 404);
  EXPECT_EQ(get("/api/v3/traces?query.serviceName=odd").status, 400) << "times are required";
  EXPECT_EQ(get(std::string("/api/v3/traces?query.serviceName=other") + kAllTimes).status, 404);
}

TEST_F(SinkTest, DropsItsOldestTracesWhenItIsFullAndSaysSo) {
  std::vector<std::string> notices;
  SinkOptions options;
  options.memory_bytes_max = 100'000;
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  start(options);
  for (int i = 0; i < 10; ++i) {
    auto batch = many_traces(100, 0);
    for (auto& span : batch[0].scope_spans[0].spans) span.trace_id.bytes[1] = uint8_t(i);
    ASSERT_EQ(send(batch).outcome, SendResult::Outcome::kDelivered);
  }
  const SpanStoreCounters counters = sink_->counters();
  EXPECT_LE(counters.bytes, options.memory_bytes_max);
  EXPECT_EQ(counters.received, 1000);
  EXPECT_GT(counters.dropped, 0);
  EXPECT_EQ(counters.kept + counters.dropped, 1000);
  EXPECT_EQ(counters.traces, counters.kept);
  EXPECT_EQ(get("/api/v3/traces/07000000000000000000000000000000").status, 404) << "the oldest";
  EXPECT_EQ(get("/api/v3/traces/07090000000000000000000000000063").status, 200) << "the latest";
  EXPECT_TRUE(sink_->stop().has_value());
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0], "drops its oldest traces: --memory is full");
}

TEST_F(SinkTest, RefusesWhatDoesNotFitAndTellsTheSender) {
  SinkOptions options;
  options.memory_bytes_max = 100'000;
  options.when_full = WhenFull::kRefuse;
  start(options);
  ASSERT_EQ(send(many_traces(50, 0)).outcome, SendResult::Outcome::kDelivered);
  for (const char* protocol : {"grpc", "http/protobuf", "http/json"}) {
    const SendResult refused = send(many_traces(400, 0), protocol);
    EXPECT_EQ(refused.outcome, SendResult::Outcome::kFailed) << protocol;
    EXPECT_THAT(refused.problem, ::testing::HasSubstr(protocol == std::string("http/json")
                                                          ? "status 413"
                                                          : "the span store is full"));
  }
  EXPECT_EQ(sink_->counters().kept, 50);
  EXPECT_EQ(sink_->counters().refused, 1200);
  EXPECT_EQ(sink_->counters().dropped, 0);
}

TEST_F(SinkTest, RefusesWhatIsNoOtlpAndKeepsNothingOfIt) {
  start();
  const auto post = [&](const std::string& body,
                        const std::vector<std::pair<std::string, std::string>>& headers) {
    return HttpClient(sink_->http_ports().front()).exchange("POST", "/v1/traces", body, headers);
  };
  EXPECT_EQ(post("{}", {{"content-type", "text/plain"}}).status, 415);
  EXPECT_EQ(post("{", {{"content-type", "application/json"}}).status, 400);
  EXPECT_EQ(post("\x0a\xff", {{"content-type", "application/x-protobuf"}}).status, 400);
  const HttpAnswer torn =
      post("\x1f\x8b", {{"content-type", "application/x-protobuf"}, {"content-encoding", "gzip"}});
  EXPECT_EQ(torn.status, 400);
  EXPECT_THAT(torn.body, ::testing::HasSubstr("gzip"));
  EXPECT_EQ(post("x", {{"content-type", "application/json"}, {"content-encoding", "br"}}).status,
            415);
  EXPECT_EQ(get("/v1/traces").status, 405);
  EXPECT_EQ(get("/api/v9").status, 404);
  EXPECT_EQ(sink_->counters().received, 0);
}

TEST_F(SinkTest, AFileThatCannotBeWrittenRefusesEverything) {
  SinkOptions options;
  options.output = "/dev/full";
  start(options);
  const SendResult refused = send(odd_span());
  EXPECT_EQ(refused.outcome, SendResult::Outcome::kRetry) << "there may be room later";
  EXPECT_EQ(sink_->counters().kept, 0);
  EXPECT_EQ(sink_->counters().refused, 1);
  EXPECT_EQ(get("/health").status, 503);
  EXPECT_FALSE(sink_->stop().has_value());
}

TEST(SinkVerb, KeepsSpansInAFileOverItsRestartAndEndsWellOnASignal) {
  const TemporaryDirectory folder = *TemporaryDirectory::make("touchstone-sink-file");
  const std::string file = folder.path() + "/spans.otlp.jsonl";
  for (const int spans : {1, 2}) {
    SinkProcess sink({"--output", file});
    HttpClient client(sink.http_port());
    const HttpAnswer taken =
        client.exchange("POST", "/v1/traces", telemetry::encode_otlp_json(odd_span()),
                        {{"content-type", "application/json"}});
    EXPECT_EQ(taken.status, 200) << taken.body;
    const json health = json::parse(HttpClient(sink.http_port()).exchange("GET", "/health").body);
    EXPECT_EQ(health["status"], "ok");
    EXPECT_EQ(health["spans"], 1);
    EXPECT_EQ(sink.stop(), 0) << sink.log();
    EXPECT_THAT(sink.log(), ::testing::HasSubstr("1 spans received, 1 kept in 1 traces"));
    const auto read = telemetry::read_otlp_file(file);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->summary.spans, spans);
  }
}

TEST(SinkVerb, SaysWhatIsWrongWithItsAddresses) {
  const Captured bad = run_touchstone({"sink", "--grpc", "here"});
  EXPECT_EQ(bad.status.code, 2);
  EXPECT_THAT(bad.errors, ::testing::HasSubstr("--grpc: got \"here\", expected HOST:PORT"));
  const SinkProcess first;
  const Captured taken = run_touchstone({"sink", "--grpc", "127.0.0.1:0", "--http",
                                         "127.0.0.1:" + std::to_string(first.http_port())});
  EXPECT_EQ(taken.status.code, 3) << taken.errors;
}

}  // namespace
}  // namespace touchstone::harness
