// BatchExporter over a transport that the test plays, then the real gRPC transport against the
// embedded receiver.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "telemetry/export/batch_exporter.h"
#include "telemetry/export/transports.h"
#include "tests/support/recording_receiver.h"

namespace touchstone::telemetry {
namespace {

using touchstone::testing::RecordingReceiver;

constexpr int64_t kLong = 20 * kNsPerSecond;
const SpanOrigin kScope{{"test", "1", {}}, "", {}};
const SpanOrigin kOtherScope{{"other", "", {}}, "", {}};

Span named(const std::string& name) {
  Span span;
  span.trace_id.bytes[0] = 1;
  span.span_id.bytes[0] = 1;
  span.name = name;
  return span;
}

/// submitted = exported + rejected + failed + dropped + pending, at any time.
void expect_balanced(const ExporterCounters& counters) {
  EXPECT_EQ(counters.submitted, counters.exported + counters.rejected + counters.failed +
                                    counters.dropped + counters.pending);
}

class ExporterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto receiver = RecordingReceiver::start();
    ASSERT_TRUE(receiver) << receiver.error().message;
    receiver_ = *std::move(receiver);
  }

  /// Sends each span at once and retries fast.
  static BatchOptions fast() {
    BatchOptions options;
    options.delay_ns = 5 * kNsPerMs;
    options.first_backoff_ns = 5 * kNsPerMs;
    options.backoff_max_ns = 20 * kNsPerMs;
    return options;
  }

  std::unique_ptr<SpanExporter> make(const BatchOptions& batch,
                                     const Environment& environment = {}) {
    Result<OtlpOptions> options = otlp_options(receiver_->endpoint(), environment);
    BASE_CHECK(options.has_value(), options.error().message);
    options->batch = batch;
    auto exporter = make_otlp_exporter(*options, {{{"service.name", Value("t")}}}, clock_);
    BASE_CHECK(exporter.has_value());
    return *std::move(exporter);
  }

  RealClock clock_;
  std::unique_ptr<RecordingReceiver> receiver_;
};

TEST_F(ExporterTest, SpansArriveWithTheirResourceAndScope) {
  const auto exporter = make(fast());
  exporter->submit(kScope, named("a"));
  exporter->submit(kOtherScope, named("b"));
  exporter->submit(kScope, named("c"));
  EXPECT_TRUE(exporter->shutdown(kLong));
  const TraceBatch batch = receiver_->received();
  EXPECT_EQ(receiver_->spans_received(), 3);
  ASSERT_FALSE(batch.empty());
  EXPECT_EQ(batch[0].resource.attributes, (Attributes{{"service.name", Value("t")}}));
  int in_scope = 0;
  for (const ResourceSpans& group : batch) {
    for (const ScopeSpans& scope : group.scope_spans) {
      if (scope.scope == kScope.scope) in_scope += static_cast<int>(scope.spans.size());
    }
  }
  EXPECT_EQ(in_scope, 2);
  const ExporterCounters counters = exporter->counters();
  EXPECT_EQ(counters.exported, 3);
  EXPECT_EQ(counters.pending, 0);
  expect_balanced(counters);
}

TEST_F(ExporterTest, HeadersFromTheEnvironmentAreSentAndGzipIsUnderstood) {
  const auto exporter =
      make(fast(), {{"OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x,dash0-dataset=d"},
                    {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}});
  exporter->submit(kScope, named(std::string(10000, 'a')));
  EXPECT_TRUE(exporter->shutdown(kLong));
  EXPECT_EQ(receiver_->header("authorization"), "Bearer x");
  EXPECT_EQ(receiver_->header("dash0-dataset"), "d");
  EXPECT_EQ(receiver_->received()[0].scope_spans[0].spans[0].name.size(), 10000u);
}

TEST_F(ExporterTest, AFullBatchDoesNotWaitForTheDelay) {
  BatchOptions options = fast();
  options.delay_ns = 3600 * kNsPerSecond;
  options.batch_spans_max = 4;
  const auto exporter = make(options);
  for (int i = 0; i < 5; ++i) exporter->submit(kScope, named("x"));
  EXPECT_TRUE(receiver_->wait_for_spans(4, kLong));
  EXPECT_TRUE(exporter->shutdown(kLong));
  EXPECT_EQ(receiver_->spans_received(), 5);
  EXPECT_EQ(exporter->counters().batches, 2);
}

TEST_F(ExporterTest, RetryableCodesAreRetriedAndOthersAreNot) {
  // Numbers of the gRPC status codes, and whether OTLP calls them retryable.
  const std::pair<int, bool> rows[] = {
      {1, true},   {2, false}, {3, false}, {4, true},   {5, false}, {6, false},
      {7, false},  {8, false}, {9, false}, {10, true},  {11, true}, {12, false},
      {13, false}, {14, true}, {15, true}, {16, false},
  };
  for (const auto& [code, retryable] : rows) {
    const int64_t before = receiver_->spans_received();
    const int64_t requests_before = receiver_->requests_seen();
    receiver_->behave({.grpc_code = code, .message = "go away"}, 2);
    const auto exporter = make(fast());
    exporter->submit(kScope, named("x"));
    EXPECT_EQ(exporter->shutdown(kLong), retryable) << code;
    const ExporterCounters counters = exporter->counters();
    EXPECT_EQ(counters.exported, retryable ? 1 : 0) << code;
    EXPECT_EQ(counters.failed, retryable ? 0 : 1) << code;
    // As the receiver counts them: a connection that fails before is retried whatever comes later.
    EXPECT_EQ(receiver_->requests_seen() - requests_before, retryable ? 3 : 1) << code;
    EXPECT_EQ(receiver_->spans_received() - before, retryable ? 1 : 0) << code;
    EXPECT_NE(counters.last_problem.find("go away"), std::string::npos) << counters.last_problem;
    expect_balanced(counters);
  }
}

TEST_F(ExporterTest, ResourceExhaustedIsRetriedOnlyWithRetryInfoAndNotBeforeItsTime) {
  constexpr int64_t kAsked = 150 * kNsPerMs;
  receiver_->behave({.grpc_code = 8, .message = "slow down", .retry_after_ns = kAsked});
  const auto exporter = make(fast());
  const int64_t start = clock_.monotonic_ns();
  exporter->submit(kScope, named("x"));
  EXPECT_TRUE(exporter->shutdown(kLong));
  EXPECT_GE(clock_.monotonic_ns() - start, kAsked);
  EXPECT_EQ(exporter->counters().exported, 1);
  EXPECT_EQ(exporter->counters().retries, 1);
}

TEST_F(ExporterTest, PartialSuccessIsCountedAndNotRetried) {
  receiver_->behave({.message = "too old", .rejected_spans = 2});
  const auto exporter = make(fast());
  for (int i = 0; i < 5; ++i) exporter->submit(kScope, named("x"));
  EXPECT_TRUE(exporter->shutdown(kLong));
  const ExporterCounters counters = exporter->counters();
  EXPECT_EQ(counters.rejected, 2);
  EXPECT_EQ(counters.exported, 3);
  EXPECT_EQ(counters.retries, 0);
  EXPECT_NE(counters.last_problem.find("too old"), std::string::npos);
  expect_balanced(counters);
}

TEST_F(ExporterTest, AFullQueueDropsAndNeverBlocks) {
  BatchOptions options = fast();
  options.queue_spans_max = 8;
  options.batch_spans_max = 4;
  receiver_->hold();
  const auto exporter = make(options);
  exporter->submit(kScope, named("first"));
  ASSERT_TRUE(receiver_->wait_for_requests(1, kLong));  // the thread is now busy sending
  for (int i = 0; i < 20; ++i) exporter->submit(kScope, named("x"));
  ExporterCounters counters = exporter->counters();
  EXPECT_EQ(counters.dropped, 12);
  EXPECT_EQ(counters.pending, 9);
  expect_balanced(counters);
  receiver_->release();
  EXPECT_FALSE(exporter->shutdown(kLong)) << "twelve were lost";
  EXPECT_EQ(exporter->counters().exported, 9);
  expect_balanced(exporter->counters());
}

TEST_F(ExporterTest, ShutdownEndsAtItsDeadlineAndAccountsForWhatIsLeft) {
  BatchOptions options = fast();
  options.batch_spans_max = 2;
  receiver_->hold();
  const auto exporter = make(options);
  for (int i = 0; i < 7; ++i) exporter->submit(kScope, named("x"));
  ASSERT_TRUE(receiver_->wait_for_requests(1, kLong));
  const int64_t start = clock_.monotonic_ns();
  EXPECT_FALSE(exporter->shutdown(100 * kNsPerMs));
  EXPECT_LT(clock_.monotonic_ns() - start, 5 * kNsPerSecond);
  const ExporterCounters counters = exporter->counters();
  EXPECT_EQ(counters.pending, 0);
  EXPECT_EQ(counters.failed + counters.dropped, 7);
  expect_balanced(counters);
  exporter->submit(kScope, named("late"));
  EXPECT_EQ(exporter->counters().dropped, counters.dropped + 1);
  EXPECT_FALSE(exporter->shutdown(kLong)) << "a second call says the same";
  receiver_->release();
}

TEST_F(ExporterTest, SpansOutliveAReceiverThatComesBack) {
  const int port = receiver_->port();
  const auto exporter = make(fast());
  exporter->submit(kScope, named("a"));
  ASSERT_TRUE(receiver_->wait_for_spans(1, kLong));
  receiver_.reset();
  exporter->submit(kScope, named("b"));
  while (exporter->counters().retries == 0) std::this_thread::yield();
  auto again = RecordingReceiver::start(port);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE((*again)->wait_for_spans(1, kLong));
  EXPECT_TRUE(exporter->shutdown(kLong));
  EXPECT_EQ(exporter->counters().exported, 2);
  EXPECT_NE(exporter->counters().last_problem.find("UNAVAILABLE"), std::string::npos);
}

TEST_F(ExporterTest, RetriesEndWhenTheExportTimeoutHasPassed) {
  BatchOptions options = fast();
  options.export_timeout_ns = 100 * kNsPerMs;
  const auto exporter = make(options);
  receiver_->stop();
  exporter->submit(kScope, named("x"));
  EXPECT_FALSE(exporter->shutdown(kLong));
  EXPECT_EQ(exporter->counters().failed, 1);
}

TEST_F(ExporterTest, ManyThreadsLoseNothing) {
  BatchOptions options = fast();
  options.queue_spans_max = 100000;
  options.batch_spans_max = 64;
  const auto exporter = make(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) exporter->submit(kScope, named("x"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(exporter->shutdown(kLong));
  EXPECT_EQ(receiver_->spans_received(), 2000);
  EXPECT_EQ(exporter->counters().exported, 2000);
}

TEST_F(ExporterTest, ABusyPortIsAnError) {
  const auto second = RecordingReceiver::start(receiver_->port());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kIo);
}

TEST(OtlpOptions, EndpointsAreReadAsVllmReadsThem) {
  struct Row {
    const char* text;
    const char* protocol;
    const char* authority;
    const char* path;
    bool tls;
  };
  const Row good[] = {
      {"http://127.0.0.1:4317", "grpc", "127.0.0.1:4317", "", false},
      {"grpc://collector:4317", "grpc", "collector:4317", "", false},
      {"collector:14317", "grpc", "collector:14317", "", false},
      {"http://collector", "grpc", "collector:4317", "", false},
      {"https://otlp.example.com:443", "grpc", "otlp.example.com:443", "", true},
      {"HTTP://localhost/", "grpc", "localhost:4317", "", false},
      {" [::1]:4317 ", "grpc", "[::1]:4317", "", false},
      {"http://[::1]", "grpc", "[::1]:4317", "", false},
      {"http://c:4318/v1/traces", "http/protobuf", "c:4318", "/v1/traces", false},
      {"http://c:4318", "http/protobuf", "c:4318", "/v1/traces", false},
      {"https://c/otlp/v1/traces?key=1", "http/protobuf", "c:4318", "/otlp/v1/traces?key=1", true},
  };
  for (const Row& row : good) {
    const auto endpoint = parse_otlp_endpoint(row.text, row.protocol);
    ASSERT_TRUE(endpoint) << row.text << ": " << endpoint.error().message;
    EXPECT_EQ(endpoint->authority, row.authority) << row.text;
    EXPECT_EQ(endpoint->path, row.path) << row.text;
    EXPECT_EQ(endpoint->tls, row.tls) << row.text;
  }
  const char* bad[] = {"",        "http://",  "ftp://h:1",    "h:0",
                       "h:65536", "h:port",   "http://h:1:2", "[::1:4317",
                       ":4317",   "a b:1",    "[]:4317",      "u:p@h:4317",
                       "h:",      "u@h:4317", "notaurl",      "http://h:4318/v1/traces"};
  for (const char* text : bad) {
    const auto endpoint = parse_otlp_endpoint(text, "grpc");
    ASSERT_FALSE(endpoint) << text << " gave " << endpoint->authority;
    EXPECT_EQ(endpoint.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(endpoint.error().message.rfind("OTLP endpoint: got ", 0), 0u);
  }
}

TEST(OtlpOptions, TheEnvironmentSetsTheRestAndTheSignalsOwnNameWins) {
  const auto options = otlp_options("http://h:1", {{"OTEL_BSP_MAX_QUEUE_SIZE", "100"},
                                                   {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"},
                                                   {"OTEL_BSP_SCHEDULE_DELAY", "20"},
                                                   {"OTEL_BSP_EXPORT_TIMEOUT", "30"},
                                                   {"OTEL_EXPORTER_OTLP_TIMEOUT", "1"},
                                                   {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "40"},
                                                   {"OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"},
                                                   {"OTEL_EXPORTER_OTLP_COMPRESSION", ""}});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->batch.queue_spans_max, 100u);
  EXPECT_EQ(options->batch.batch_spans_max, 10u);
  EXPECT_EQ(options->batch.delay_ns, 20 * kNsPerMs);
  EXPECT_EQ(options->batch.export_timeout_ns, 30 * kNsPerMs);
  EXPECT_EQ(options->batch.attempt_timeout_ns, 40 * kNsPerMs);
  EXPECT_EQ(options->certificate_file, "ca.pem");
  EXPECT_FALSE(options->gzip);

  const std::pair<const char*, const char*> bad[] = {
      {"OTEL_BSP_MAX_QUEUE_SIZE", "0"},          {"OTEL_BSP_MAX_QUEUE_SIZE", "many"},
      {"OTEL_BSP_MAX_QUEUE_SIZE", "100"},        {"OTEL_BSP_SCHEDULE_DELAY", "-1"},
      {"OTEL_EXPORTER_OTLP_TIMEOUT", "1.5"},     {"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"},
      {"OTEL_EXPORTER_OTLP_HEADERS", "no-value"}};
  for (const auto& [name, value] : bad) {
    const auto refused = otlp_options("http://h:1", {{name, value}});
    ASSERT_FALSE(refused) << name << "=" << value;
    EXPECT_EQ(refused.error().message.rfind("OTEL_", 0), 0u) << refused.error().message;
  }
  EXPECT_TRUE(sdk_disabled({{"OTEL_SDK_DISABLED", "True"}}));
  EXPECT_FALSE(sdk_disabled({{"OTEL_SDK_DISABLED", "1"}}));
}

TEST(OtlpGrpcTransport, AMissingCertificateIsNamed) {
  RealClock clock;
  auto options = otlp_options("https://h:1", {{"OTEL_EXPORTER_OTLP_CERTIFICATE", "no/ca.pem"}});
  ASSERT_TRUE(options);
  const auto exporter = make_otlp_exporter(*options, {}, clock);
  ASSERT_FALSE(exporter);
  EXPECT_EQ(exporter.error().message.rfind("no/ca.pem", 0), 0u);
}

}  // namespace
}  // namespace touchstone::telemetry
