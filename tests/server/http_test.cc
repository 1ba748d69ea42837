// The HTTP side of the real binary: limits, malformed and slow input, keep-alive, pipelining, and
// what happens when a client goes away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

constexpr const char* kLong =
    R"({"model":"tiny","prompt":"To be","max_tokens":480,"temperature":0,"ignore_eos":true)";

ServerProcessOptions options(std::vector<std::string> flags = {}) {
  ServerProcessOptions made{.model = capture_model(), .flags = std::move(flags), .environment = {}};
  made.flags.insert(made.flags.end(),
                    {"--served-model-name", "tiny", "--block-size", "16",
                     "--num-gpu-blocks-override", "200", "--max-model-len", "512"});
  return made;
}

/// One server for all tests that leave it as it was.
class Http : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ =
        new ServerProcess(options({"--max-body-bytes", "100000", "--h11-max-incomplete-event-size",
                                   "20000", "--h11-max-header-count", "40"}));
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(server_->stop(), 0) << server_->log();
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override { ASSERT_TRUE(server_->ready()) << server_->problem(); }
  void TearDown() override {
    EXPECT_EQ(server_->connect().exchange("GET", "/health").status, 200) << server_->log();
  }
  static ServerProcess* server_;
};
ServerProcess* Http::server_ = nullptr;

TEST_F(Http, OneConnectionCarriesManyRequests) {
  HttpClient client = server_->connect();
  for (int i = 0; i < 5; ++i) {
    const HttpAnswer answer = client.exchange("GET", "/version");
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(answer.has_header("connection"));
    EXPECT_TRUE(answer.has_header("date"));
  }
  EXPECT_EQ(client.exchange("GET", "/health", "", {{"connection", "close"}}).header("connection"),
            "close");
  EXPECT_TRUE(client.at_end());
}

TEST_F(Http, PipelinedRequestsAreAnsweredInOrder) {
  HttpClient client = server_->connect();
  const std::string completion =
      R"({"prompt":"To be","max_tokens":3,"temperature":0,"ignore_eos":true})";
  const std::vector<std::pair<std::string, std::string>> json = {
      {"content-type", "application/json"}};
  ASSERT_TRUE(client.send(request_text("GET", "/version", "") +
                          request_text("POST", "/v1/completions", completion, json) +
                          request_text("GET", "/nope", "") + request_text("GET", "/ping", "")));
  EXPECT_NE(client.read_answer().body.find("version"), std::string::npos);
  EXPECT_NE(client.read_answer().body.find("text_completion"), std::string::npos);
  EXPECT_EQ(client.read_answer().status, 404);
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST_F(Http, ChunkedBodiesAndExpectContinueAreUnderstood) {
  HttpClient client = server_->connect();
  ASSERT_TRUE(
      client.send("POST /tokenize HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                  "transfer-encoding: chunked\r\n\r\n"
                  "5\r\n{\"pro\r\n"
                  "d\r\nmpt\":\"To be\"}\r\n0\r\n\r\n"));
  EXPECT_EQ(client.read_answer().status, 200);
  const std::string body = R"({"prompt":"To be"})";
  ASSERT_TRUE(
      client.send("POST /tokenize HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                  "expect: 100-continue\r\ncontent-length: " +
                  std::to_string(body.size()) + "\r\n\r\n"));
  EXPECT_EQ(client.read_answer().status, 100);
  ASSERT_TRUE(client.send(body));
  EXPECT_EQ(client.read_answer().status, 200);
}

TEST_F(Http, UnknownRoutesAndMethodsAreAnswered) {
  HttpClient client = server_->connect();
  EXPECT_EQ(client.exchange("GET", "/v1/nope").body, R"({"detail":"Not Found"})");
  const HttpAnswer wrong = client.exchange("DELETE", "/v1/models");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("allow"), "GET");
  EXPECT_EQ(client.exchange("HEAD", "/health").status, 405);
  EXPECT_EQ(client.exchange("GET", "/health?verbose=1").status, 200);
  const HttpAnswer preflight = client.exchange(
      "OPTIONS", "/v1/completions", "",
      {{"origin", "http://example.org"}, {"access-control-request-method", "POST"}});
  EXPECT_EQ(preflight.status, 400) << "no origin is allowed unless --allowed-origins says so";
  EXPECT_EQ(preflight.body, "Disallowed CORS origin");
}

TEST_F(Http, MalformedRequestsGetA400AndTheConnectionEnds) {
  for (const std::string text :
       {"nonsense\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"}) {
    HttpClient client = server_->connect();
    ASSERT_TRUE(client.send(text));
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, 400) << text << " -> " << answer.problem;
    EXPECT_EQ(answer.header("connection"), "close");
    EXPECT_TRUE(client.at_end()) << text;
  }
}

TEST_F(Http, HeadersBeyondTheLimitsGetA431) {
  HttpClient many = server_->connect();
  std::vector<std::pair<std::string, std::string>> headers;
  for (int i = 0; i < 50; ++i) headers.emplace_back("x-" + std::to_string(i), "1");
  EXPECT_EQ(many.exchange("GET", "/health", "", headers).status, 431);
  EXPECT_TRUE(many.at_end());
  HttpClient large = server_->connect();
  EXPECT_EQ(large.exchange("GET", "/health", "", {{"x-large", std::string(30'000, 'a')}}).status,
            431);
  EXPECT_TRUE(large.at_end());
}

TEST_F(Http, BodiesBeyondTheLimitGetA413EvenBeforeTheyAreSent) {
  HttpClient announced = server_->connect();
  ASSERT_TRUE(
      announced.send("POST /v1/completions HTTP/1.1\r\nhost: x\r\n"
                     "expect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"));
  EXPECT_EQ(announced.read_answer().status, 413);
  EXPECT_TRUE(announced.at_end());

  HttpClient sent = server_->connect();
  const HttpAnswer answer = sent.post("/v1/completions", std::string(300'000, ' '));
  EXPECT_EQ(answer.status, 413);
  EXPECT_NE(answer.body.find("100000"), std::string::npos) << answer.body;

  HttpClient chunked = server_->connect();
  std::string text =
      "POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
  for (int i = 0; i < 30; ++i) text += "1000\r\n" + std::string(4096, ' ') + "\r\n";
  chunked.send(text);
  EXPECT_EQ(chunked.read_answer().status, 413);
}

TEST_F(Http, AnHttp10ClientGetsAnUnchunkedStreamThatEndsWithTheConnection) {
  HttpClient client = server_->connect();
  const std::string body =
      R"({"prompt":"To be","max_tokens":4,"temperature":0,"ignore_eos":true,"stream":true})";
  ASSERT_TRUE(
      client.send("POST /v1/completions HTTP/1.0\r\ncontent-type: application/json\r\n"
                  "content-length: " +
                  std::to_string(body.size()) + "\r\n\r\n" + body));
  const HttpAnswer answer = client.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.has_header("transfer-encoding"));
  EXPECT_EQ(event_data(answer.body).back(), "[DONE]");
}

TEST_F(Http, AClientThatHangsUpFreesItsBlocksStreamedOrNot) {
  ASSERT_TRUE(server_->wait_for_metric("vllm:num_requests_running", 0));
  const std::map<std::string, std::string> finished = {{"finished_reason", "length"}};
  const double before = server_->metric("vllm:request_success_total", finished);
  for (const char* end : {R"(,"stream":true})", "}"}) {
    HttpClient client = server_->connect();
    const std::string body = std::string(kLong) + end;
    ASSERT_TRUE(client.send(
        request_text("POST", "/v1/completions", body, {{"content-type", "application/json"}})));
    EXPECT_TRUE(server_->wait_for_metric("vllm:num_requests_running", 1));
    client.close();
    EXPECT_TRUE(server_->wait_for_metric("vllm:num_requests_running", 0));
    EXPECT_TRUE(server_->wait_for_metric("vllm:kv_cache_usage_perc", 0));
  }
  EXPECT_EQ(server_->metric("vllm:request_success_total", finished), before);
}

TEST(HttpTimeouts, SlowSendersGetA408AndIdleConnectionsAreClosed) {
  ServerProcess server(options({"--http-read-timeout", "200ms", "--http-idle-timeout", "300ms"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  HttpClient header = server.connect();
  ASSERT_TRUE(header.send("GET /health HTTP/1.1\r\nhos"));
  EXPECT_EQ(header.read_answer().status, 408);
  EXPECT_TRUE(header.at_end());
  HttpClient body = server.connect();
  ASSERT_TRUE(body.send("POST /tokenize HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"));
  EXPECT_EQ(body.read_answer().status, 408);
  HttpClient idle = server.connect();
  EXPECT_TRUE(idle.at_end());
  HttpClient again = server.connect();
  EXPECT_EQ(again.exchange("GET", "/health").status, 200);
  EXPECT_TRUE(again.at_end());
  EXPECT_EQ(server.stop(), 0);
}

TEST(HttpTimeouts, AClientThatDoesNotReadIsDroppedAndHoldsUpNobody) {
  ServerProcess server(options({"--http-write-timeout", "300ms"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  const double descriptors = server.metric("process_open_fds");
  HttpClient client = server.connect();
  client.set_small_receive_buffer();
  // Some tens of kilobytes each: far more than the kernel's buffers take.
  constexpr int kRequests = 400;
  for (int i = 0; i < kRequests; ++i) ASSERT_TRUE(client.send(request_text("GET", "/metrics", "")));
  EXPECT_EQ(server.connect().post("/v1/completions", R"({"prompt":"a","max_tokens":5})").status,
            200);
  EXPECT_TRUE(server.wait_for_metric("process_open_fds", descriptors)) << "still connected";
  int answers = 0;
  while (client.read_answer().problem.empty()) answers += 1;
  EXPECT_LT(answers, kRequests);
  EXPECT_EQ(server.stop(), 0);
}

TEST(HttpLimits, ConnectionsBeyondTheLimitGetA503) {
  ServerProcess server(options({"--max-connections", "3"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  std::vector<HttpClient> open;
  for (int i = 0; i < 3; ++i) {
    open.push_back(server.connect());
    ASSERT_EQ(open.back().exchange("GET", "/health").status, 200);
  }
  HttpClient refused = server.connect();
  EXPECT_EQ(refused.read_answer().status, 503);
  EXPECT_EQ(open[0].exchange("GET", "/health").status, 200);
}

TEST(HttpAuth, KeysAreAskedForUnderV1Only) {
  ServerProcess server(options({"--api-key", "one", "two"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  HttpClient client = server.connect();
  EXPECT_EQ(client.exchange("GET", "/health").status, 200);
  const HttpAnswer refused = client.exchange("GET", "/v1/models");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, R"({"error":"Unauthorized"})");
  EXPECT_EQ(client.exchange("GET", "/v1/models", "", {{"authorization", "Bearer three"}}).status,
            401);
  EXPECT_EQ(client.exchange("GET", "/v1/models", "", {{"authorization", "Bearer two"}}).status,
            200);
  HttpClient unread = server.connect();
  ASSERT_TRUE(
      unread.send("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n"));
  EXPECT_EQ(unread.read_answer().status, 401) << "before the body is sent";
  EXPECT_TRUE(unread.at_end());
}

TEST(HttpAuth, AHeaderOf64KiBEndsNothing) {
  ServerProcess server(options({"--api-key", "one"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  for (const size_t length : {65'533u, 65'534u, 70'000u, 4'000'000u, 5'000'000u}) {
    const std::string word(length, 'a');
    const HttpAnswer named = server.connect().exchange("GET", "/v1/models", "", {{word, "x"}});
    const HttpAnswer valued = server.connect().exchange("GET", "/v1/models", "", {{"x", word}});
    const int expected = length < 4'194'304 ? 401 : 431;
    EXPECT_EQ(named.status, expected) << length;
    EXPECT_EQ(valued.status, expected) << length;
  }
  EXPECT_EQ(server.stop(), 0) << server.log();
}

TEST(HttpLog, EachAnswerHasAnAccessLineUnlessItIsSwitchedOff) {
  const auto log_of = [](std::vector<std::string> flags) {
    ServerProcess server(options(std::move(flags)));
    EXPECT_TRUE(server.ready()) << server.problem();
    HttpClient client = server.connect();
    EXPECT_EQ(client.exchange("GET", "/health?x=1").status, 200);
    EXPECT_EQ(client.exchange("GET", "/version").status, 200);
    EXPECT_EQ(client.exchange("GET", "/nope").status, 404);
    EXPECT_EQ(server.stop(), 0);
    return server.log();
  };
  const std::string all = log_of({});
  EXPECT_THAT(all, ::testing::ContainsRegex(
                       "INFO:     127.0.0.1:[0-9]+ - \"GET /health.x=1 HTTP/1.1\" 200 OK"));
  EXPECT_THAT(all, ::testing::HasSubstr("\"GET /nope HTTP/1.1\" 404 Not Found"));
  const std::string some = log_of({"--disable-access-log-for-endpoints", "/health,/metrics"});
  EXPECT_THAT(some, ::testing::Not(::testing::HasSubstr("/health")));
  EXPECT_THAT(some, ::testing::HasSubstr("/version"));
  EXPECT_THAT(log_of({"--disable-uvicorn-access-log"}),
              ::testing::Not(::testing::HasSubstr("HTTP/1.1")));
}

}  // namespace
}  // namespace touchstone::testing
