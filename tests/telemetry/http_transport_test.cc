// OTLP over HTTP against a server that the test scripts: what is tried again, what is final, what
// is read from the answer.
#include <gtest/gtest.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <future>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/text.h"
#include "http/server.h"
#include "telemetry/export/otlp_http_transport.h"
#include "telemetry/otlp/protobuf.h"

namespace touchstone::telemetry {
namespace {

constexpr int64_t kLong = 20 * kNsPerSecond;

/// Answers every request alike, or keeps it waiting.
class ScriptedServer final : private http::HttpHandler, private http::HttpObserver {
 public:
  struct Seen {
    std::string method;
    std::string path;
    std::string body;
    http::HttpHeaders headers;
    std::string header(const std::string& name) const {
      for (const auto& [key, value] : headers) {
        if (to_lower(key) == name) return value;
      }
      return "absent";
    }
  };

  ScriptedServer() : server_({.host = "127.0.0.1", .port = 0}, clock_, *this, *this) {
    BASE_CHECK(server_.listen().has_value());
    server_.start();
  }
  ~ScriptedServer() override {
    release_.set_value();
    server_.stop();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }
  void answer(http::HttpResponse response) {
    const MutexLock lock(mutex_);
    answer_ = std::move(response);
  }
  /// Requests wait until the end of this server.
  void hold() {
    const MutexLock lock(mutex_);
    held_ = true;
  }
  std::vector<Seen> seen() {
    const MutexLock lock(mutex_);
    return seen_;
  }
  void wait_for_request() {
    const MutexLock lock(mutex_);
    changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return !seen_.empty(); });
  }
  void stop() { server_.stop(); }

 private:
  http::Admission admit(const http::HttpRequest&) override {
    return {.refusal = std::nullopt, .place = http::Admission::Place::kWorker};
  }
  http::Reply handle(http::HttpRequest& request) override {
    bool held = false;
    http::Reply reply;
    {
      const MutexLock lock(mutex_);
      seen_.push_back({request.method, request.path, request.body, request.headers});
      reply.response = answer_;
      held = held_;
    }
    changed_.notify_all();
    if (held) released_.wait();
    return reply;
  }
  void on_response_start(const http::HttpExchange&) override {}
  void on_response_end(const http::HttpExchange&) override {}
  void on_problem(const http::HttpExchange&, const std::string&) override {}

  const RealClock clock_;
  Mutex mutex_;
  ConditionVariable changed_;
  http::HttpResponse answer_ GUARDED_BY(mutex_);
  bool held_ GUARDED_BY(mutex_) = false;
  std::vector<Seen> seen_ GUARDED_BY(mutex_);
  std::promise<void> release_;
  std::shared_future<void> released_ = release_.get_future().share();
  http::HttpServer server_;
};

class HttpTransportTest : public ::testing::Test {
 protected:
  std::unique_ptr<Transport> transport(Environment environment = {},
                                       Signal signal = Signal::kTraces) {
    environment.emplace("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    const auto options = otlp_options(server_.url(), environment, signal);
    BASE_CHECK(options.has_value());
    auto made = make_otlp_http_transport(*options);
    BASE_CHECK(made.has_value());
    return *std::move(made);
  }

  ScriptedServer server_;
};

TEST_F(HttpTransportTest, SendsTheBytesWithTypeAndHeaders) {
  const std::string bytes = "\x0a\x00bytes";
  const auto result = transport({{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x"}})
                          ->send(Signal::kTraces, bytes, kLong);
  EXPECT_EQ(result.outcome, SendResult::Outcome::kDelivered) << result.problem;
  const auto requests = server_.seen();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].path, "/v1/traces");
  EXPECT_EQ(requests[0].body, bytes);
  EXPECT_EQ(requests[0].header("content-type"), "application/x-protobuf");
  EXPECT_EQ(requests[0].header("authorization"), "Bearer x");
}

TEST_F(HttpTransportTest, EachSignalHasItsPath) {
  for (const Signal signal : {Signal::kMetrics, Signal::kLogs}) {
    EXPECT_EQ(transport({}, signal)->send(signal, "", kLong).problem, "");
  }
  const auto requests = server_.seen();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].path, "/v1/metrics");
  EXPECT_EQ(requests[1].path, "/v1/logs");
}

TEST_F(HttpTransportTest, StatusDecidesWhetherItIsTriedAgain) {
  const struct {
    int status;
    const char* retry_after;
    SendResult::Outcome outcome;
    std::optional<int64_t> wait_ns;
  } rows[] = {{200, "", SendResult::Outcome::kDelivered, {}},
              {400, "", SendResult::Outcome::kFailed, {}},
              {404, "5", SendResult::Outcome::kFailed, {}},
              {429, "7", SendResult::Outcome::kRetry, 7 * kNsPerSecond},
              {500, "", SendResult::Outcome::kFailed, {}},
              {502, "", SendResult::Outcome::kRetry, {}},
              {503, "soon", SendResult::Outcome::kRetry, {}},
              {504, "-1", SendResult::Outcome::kRetry, {}}};
  for (const auto& row : rows) {
    server_.answer({.status = row.status,
                    .content_type = "",
                    .headers = {{"retry-after", row.retry_after}},
                    .body = ""});
    const auto result = transport()->send(Signal::kTraces, "x", kLong);
    EXPECT_EQ(result.outcome, row.outcome) << row.status;
    EXPECT_EQ(result.retry_after_ns, row.wait_ns) << row.status;
    EXPECT_EQ(result.problem.empty(), row.status == 200) << result.problem;
  }
}

TEST_F(HttpTransportTest, PartialSuccessIsCounted) {
  opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse response;
  response.mutable_partial_success()->set_rejected_spans(3);
  response.mutable_partial_success()->set_error_message("three are too old");
  server_.answer({.status = 200,
                  .content_type = "application/x-protobuf",
                  .headers = {},
                  .body = response.SerializeAsString()});
  const auto result = transport()->send(Signal::kTraces, "x", kLong);
  EXPECT_EQ(result.outcome, SendResult::Outcome::kDelivered);
  EXPECT_EQ(result.rejected, 3);
  EXPECT_NE(result.problem.find("three are too old"), std::string::npos);
}

TEST_F(HttpTransportTest, ABodyIsCompressedWhenAsked) {
  const std::string bytes(10'000, 'a');
  EXPECT_EQ(transport({{"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}})
                ->send(Signal::kTraces, bytes, kLong)
                .problem,
            "");
  const auto requests = server_.seen();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].header("content-encoding"), "gzip");
  EXPECT_LT(requests[0].body.size(), 200u);
}

TEST_F(HttpTransportTest, WhereNobodyListensItIsTriedAgain) {
  const auto sender = transport();
  server_.stop();
  const auto result = sender->send(Signal::kTraces, "x", kLong);
  EXPECT_EQ(result.outcome, SendResult::Outcome::kRetry);
  EXPECT_NE(result.problem.find("127.0.0.1"), std::string::npos) << result.problem;
}

TEST_F(HttpTransportTest, ASilentReceiverCostsTheTimeoutAndNoMore) {
  server_.hold();
  const auto result = transport()->send(Signal::kTraces, "x", 50 * kNsPerMs);
  EXPECT_EQ(result.outcome, SendResult::Outcome::kRetry);
  EXPECT_NE(result.problem.find("no answer within 50 ms"), std::string::npos) << result.problem;
}

TEST_F(HttpTransportTest, CancelEndsASendUnderWayAndEveryLaterOne) {
  server_.hold();
  const auto sender = transport();
  auto sending =
      std::async(std::launch::async, [&] { return sender->send(Signal::kTraces, "x", kLong); });
  server_.wait_for_request();
  sender->cancel();
  EXPECT_NE(sending.get().problem.find("shut down"), std::string::npos);
  EXPECT_NE(sender->send(Signal::kTraces, "x", kLong).problem.find("shut down"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::telemetry
