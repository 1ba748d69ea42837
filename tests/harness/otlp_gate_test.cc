#include "harness/wire/otlp_gate.h"

#include <gtest/gtest.h>

#include "telemetry/export/otlp_options.h"
#include "telemetry/export/transports.h"
#include "telemetry/otlp/protobuf.h"
#include "tests/support/recording_receiver.h"

namespace touchstone::harness {
namespace {

using telemetry::SendResult;
using testing::RecordingReceiver;

constexpr int64_t kSoon = 20 * kNsPerSecond;

telemetry::TraceBatch batch_of(int spans) {
  telemetry::TraceBatch batch(1);
  batch[0].resource.attributes.push_back({"service.name", telemetry::Value("test")});
  auto& scope = batch[0].scope_spans.emplace_back();
  for (int i = 0; i < spans; ++i) {
    telemetry::Span span;
    span.trace_id.bytes = {9, 7};
    span.span_id.bytes = {1, static_cast<uint8_t>(i + 1)};
    span.name = "s" + std::to_string(i);
    span.start_unix_ns = kNsPerSecond * 100;
    span.end_unix_ns = kNsPerSecond * 101;
    scope.spans.push_back(std::move(span));
  }
  return batch;
}

class Gates : public ::testing::Test {
 protected:
  void SetUp() override {
    auto folder = TemporaryDirectory::make("otlp-gate");
    auto backend = RecordingReceiver::start();
    ASSERT_TRUE(folder && backend);
    folder_.emplace(std::move(*folder));
    backend_ = std::move(*backend);
    auto log = HopLog::open(log_path());
    ASSERT_TRUE(log);
    log_ = std::move(*log);
    auto gate = OtlpGate::start({.hop = "subject/collector", .log = log_.get()}, clock_);
    ASSERT_TRUE(gate) << gate.error().message;
    gate_ = std::move(*gate);
  }
  std::string log_path() const { return folder_->path() + "/hops.jsonl"; }
  /// The receiver behind it takes gRPC alone; what is passed on over HTTP is tested with a
  /// Collector.
  uint16_t backend_port() const { return static_cast<uint16_t>(backend_->port()); }

  SendResult send(int spans, const std::string& protocol = "grpc") {
    const uint16_t port = protocol == "grpc" ? gate_->grpc_port() : gate_->http_port();
    const auto options = telemetry::otlp_options("http://127.0.0.1:" + std::to_string(port),
                                                 {{"OTEL_EXPORTER_OTLP_PROTOCOL", protocol}});
    EXPECT_TRUE(options) << options.error().message;
    for (const telemetry::TransportRow& row : telemetry::transport_rows()) {
      if (row.protocol != protocol) continue;
      auto transport = row.make(*options);
      EXPECT_TRUE(transport);
      return (*transport)
          ->send(telemetry::Signal::kTraces, telemetry::encode_otlp_protobuf(batch_of(spans)),
                 kSoon);
    }
    ADD_FAILURE() << protocol;
    return {};
  }
  std::vector<conformance::HopSpans> hops() {
    EXPECT_TRUE(log_->close());
    auto read = read_hop_log(log_path());
    EXPECT_TRUE(read) << read.error().message;
    return read ? std::move(*read) : std::vector<conformance::HopSpans>();
  }

  const RealClock clock_;
  std::optional<TemporaryDirectory> folder_;
  std::unique_ptr<RecordingReceiver> backend_;
  std::unique_ptr<HopLog> log_;
  std::unique_ptr<OtlpGate> gate_;
};

/// Over each protocol: what the gate answers must not depend on it.
class GateAnswers : public Gates, public ::testing::WithParamInterface<const char*> {};

TEST_F(Gates, PassOnWhatTheyAreSent) {
  EXPECT_EQ(send(1).outcome, SendResult::Outcome::kRetry) << "nobody is behind it yet";
  gate_->route(backend_port(), 0);
  EXPECT_EQ(send(2).outcome, SendResult::Outcome::kDelivered);
  EXPECT_EQ(backend_->received(), batch_of(2));
  const auto read = hops();
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].from + " " + read[0].to, "subject collector");
  EXPECT_EQ(read[0].taken.size(), 2u);
  EXPECT_EQ(read[0].refused.size(), 1u);
}

TEST_P(GateAnswers, RefuseWithTheTimeToWait) {
  gate_->set({.http_status = 429, .retry_after_ns = 3 * kNsPerSecond});
  const SendResult refused = send(2, GetParam());
  EXPECT_EQ(refused.outcome, SendResult::Outcome::kRetry);
  EXPECT_EQ(refused.retry_after_ns, 3 * kNsPerSecond);
  gate_->set({.http_status = 503, .retry_after_ns = {}});
  const SendResult unavailable = send(2, GetParam());
  EXPECT_EQ(unavailable.outcome, SendResult::Outcome::kRetry);
  EXPECT_EQ(unavailable.retry_after_ns, std::nullopt);
  EXPECT_EQ(hops().at(0).refused.size(), 2u) << "each span once";
  EXPECT_EQ(backend_->requests_seen(), 0);
}

TEST_P(GateAnswers, RejectAllAndPassNothingOn) {
  gate_->set({.retry_after_ns = {}, .reject_per_cent = 100});
  const SendResult all = send(200, GetParam());
  EXPECT_EQ(all.outcome, SendResult::Outcome::kDelivered) << all.problem;
  EXPECT_EQ(all.rejected, 200);
}

TEST_F(Gates, RejectAShareAndPassOnTheRest) {
  gate_->route(backend_port(), 0);
  gate_->set({.retry_after_ns = {}, .reject_per_cent = 50});
  const SendResult sent = send(6);
  EXPECT_EQ(sent.outcome, SendResult::Outcome::kDelivered);
  EXPECT_EQ(sent.rejected, 3);
  EXPECT_EQ(backend_->spans_received(), 3);
  const auto read = hops();
  EXPECT_EQ(read.at(0).taken.size(), 3u);
  EXPECT_EQ(read.at(0).rejected.size(), 3u);
}

TEST_F(Gates, ShiftTimes) {
  gate_->route(backend_port(), 0);
  gate_->set({.retry_after_ns = {}, .shift_ns = 2 * kNsPerSecond});
  ASSERT_EQ(send(1).outcome, SendResult::Outcome::kDelivered);
  const auto received = backend_->received();
  EXPECT_EQ(received[0].scope_spans[0].spans[0].start_unix_ns, 102 * kNsPerSecond);
  EXPECT_EQ(received[0].scope_spans[0].spans[0].end_unix_ns, 103 * kNsPerSecond);
}

INSTANTIATE_TEST_SUITE_P(Protocols, GateAnswers,
                         ::testing::Values("grpc", "http/protobuf", "http/json"));

TEST(HopLogs, BadLinesAreSaidWithTheirPlace) {
  const auto folder = TemporaryDirectory::make("hop-log");
  ASSERT_TRUE(folder);
  const std::string path = folder->path() + "/hops.jsonl";
  for (const char* bad :
       {"", "no json", "{}", R"({"hop":"a/b","answer":"lost","spans":[]})",
        R"({"hop":"a","answer":"taken","spans":[]})",
        R"({"hop":"a/b","answer":"taken","spans":["x-y"]})", R"({"hop":"a/b","answer":"taken"})"}) {
    ASSERT_TRUE(write_file_atomic(path, std::string(bad) + "\n"));
    const auto read = read_hop_log(path);
    ASSERT_FALSE(read) << bad;
    EXPECT_NE(read.error().message.find("hops.jsonl:1: "), std::string::npos)
        << read.error().message;
  }
}

}  // namespace
}  // namespace touchstone::harness
