// The real Jaeger: our spans go in and come back, and the sink answers as it does.
// TOUCHSTONE_JAEGER names its binary (v2, all in one, memory storage).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "conformance/profile_set.h"
#include "harness/audit.h"
#include "harness/process/child.h"
#include "harness/process/ports.h"
#include "harness/sink/sink.h"
#include "http/client.h"
#include "telemetry/export/transports.h"
#include "telemetry/otlp/protobuf.h"
#include "tests/backends/spans.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using nlohmann::json;

constexpr int64_t kLong = 60 * kNsPerSecond;
constexpr int64_t kNow = 1'795'700'000'000'000'000;

/// The all-in-one of v2, with every port free.
constexpr char kConfig[] = R"(service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}
  telemetry: {metrics: {level: none}}
extensions:
  jaeger_storage: {backends: {some: {memory: {max_traces: 100000}}}}
  jaeger_query:
    storage: {traces: some}
    http: {endpoint: "127.0.0.1:HTTP"}
    grpc: {endpoint: "127.0.0.1:GRPC"}
receivers:
  otlp: {protocols: {grpc: {endpoint: "127.0.0.1:OTLP"}}}
exporters:
  jaeger_storage_exporter: {trace_storage: some}
)";

class RealJaeger : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* jaeger = std::getenv("TOUCHSTONE_JAEGER");
    if (jaeger == nullptr) GTEST_SKIP() << "TOUCHSTONE_JAEGER names no Jaeger";
    std::string config = kConfig;
    for (const char* word : {"HTTP", "GRPC", "OTLP"}) {
      const auto port = ports_.take();
      ASSERT_TRUE(port.has_value());
      config.replace(config.find(word), 4, std::to_string(*port));
      (std::string(word) == "HTTP" ? query_port_ : otlp_port_) = *port;
    }
    ASSERT_TRUE(write_file_atomic(folder_.path() + "/jaeger.yaml", config).has_value());
    auto child = ChildProcess::spawn({.name = "jaeger",
                                      .argv = {jaeger, "--config", folder_.path() + "/jaeger.yaml"},
                                      .log_path = folder_.path() + "/log"},
                                     supervision_);
    ASSERT_TRUE(child.has_value()) << child.error().message;
    child_ = *std::move(child);
    const Status ready = child_->wait_until(
        [&] { return http::http_get_body(url() + "/api/v3/services", kNsPerSecond).has_value(); },
        "its query service", 120 * kNsPerSecond, 100 * kNsPerMs);
    ASSERT_TRUE(ready.has_value()) << ready.error().message;
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(query_port_); }

  void send(const telemetry::TraceBatch& batch, int port) const {
    telemetry::OtlpOptions options;
    options.endpoint = *telemetry::parse_otlp_endpoint("127.0.0.1:" + std::to_string(port), "grpc");
    const auto transport = telemetry::transport_rows().front().make(options);
    ASSERT_TRUE(transport.has_value());
    const auto sent =
        (*transport)
            ->send(telemetry::Signal::kTraces, telemetry::encode_otlp_protobuf(batch), kLong);
    ASSERT_EQ(sent.outcome, telemetry::SendResult::Outcome::kDelivered) << sent.problem;
  }
  /// Its storage is written behind the acknowledgement.
  void wait_for(const std::string& service) {
    const Status there = child_->wait_until(
        [&] {
          const auto names = http::http_get_body(url() + "/api/v3/services", kLong);
          return names && names->find(service) != std::string::npos;
        },
        service, kLong);
    ASSERT_TRUE(there.has_value()) << there.error().message;
  }

  const RealClock clock_;
  const Supervision supervision_{clock_};
  PortReservation ports_;
  TemporaryDirectory folder_ = *TemporaryDirectory::make("touchstone-jaeger");
  std::unique_ptr<ChildProcess> child_;
  int query_port_ = 0;
  int otlp_port_ = 0;
};

telemetry::TraceBatch without_schema_urls(telemetry::TraceBatch batch) {
  for (auto& group : batch) {
    group.schema_url.clear();
    for (auto& scoped : group.scope_spans) scoped.schema_url.clear();
  }
  return batch;
}

TEST_F(RealJaeger, GivesBackAllButSchemaUrls) {
  send(recorded_spans(), otlp_port_);
  send(odd_span(), otlp_port_);
  wait_for("odd");
  auto expected = recorded_spans();
  expected.push_back(odd_span().front());
  telemetry::TraceBatch read;
  const auto done = make_jaeger_backend({"jaeger", url()})
                        ->read({0, kNow}, [&](const telemetry::TraceBatch& batch) {
                          read.insert(read.end(), batch.begin(), batch.end());
                          return Status();
                        });
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_EQ(as_texts(read), as_texts(without_schema_urls(expected)));
  EXPECT_TRUE(done->problems.empty());
}

TEST_F(RealJaeger, IsAuditedWithTheLedger) {
  send(recorded_spans(), otlp_port_);
  wait_for("vllm-inference");
  conformance::EvidencePaths paths;
  paths.ledger = support::source_dir() + "/" + kAuditLedger;
  const auto judged =
      audit({.paths = paths, .backends = {{"jaeger", url()}}, .window = TimeWindow{0, kNow}}, kNow,
            *conformance::load_profiles({"audit"}), {.sightings = true});
  ASSERT_TRUE(judged.has_value()) << judged.error().message;
  EXPECT_EQ(judged->report.verdict, result::Verdict::kPass) << judged->report.summary;
  EXPECT_EQ(judged->spans, 15);
}

/// What of an answer is Jaeger's own: warnings, and the order of lists.
json comparable(json tree) {
  if (tree.is_object()) {
    tree.erase("warnings");
    for (auto& [key, value] : tree.items()) value = comparable(value);
  }
  if (!tree.is_array()) return tree;
  for (json& item : tree) item = comparable(item);
  std::sort(tree.begin(), tree.end());
  return tree;
}

TEST_F(RealJaeger, TheSinkAnswersAsItDoes) {
  SinkOptions options;
  options.grpc = "127.0.0.1:0";
  options.http = {"127.0.0.1:0"};
  const auto sink = Sink::start(options, clock_);
  ASSERT_TRUE(sink.has_value());
  const std::string ours = "http://127.0.0.1:" + std::to_string((*sink)->http_ports()[0]);
  const auto batch = without_schema_urls(recorded_spans());
  send(batch, otlp_port_);
  send(batch, (*sink)->grpc_port());
  wait_for("vllm-inference");
  const std::string times = "&start=1795614915000000&end=1795614999000000";
  const std::string times_v3 =
      "&query.start_time_min=2026-11-25T00:00:00Z&query.start_time_max=2026-11-26T00:00:00Z"
      "&query.raw_traces=true&query.num_traces=50";
  for (const std::string& target : std::vector<std::string>{
           "/api/v3/services", "/api/v3/operations?service=vllm-inference", "/api/services",
           "/api/operations?service=vllm-inference", "/api/services/vllm-inference/operations",
           "/api/traces?service=vllm-inference&limit=50" + times,
           "/api/traces?service=vllm-inference&limit=50&minDuration=50ms" + times,
           "/api/traces?service=vllm-inference&limit=50&tags=%7B%22gen_ai.operation.name%22%3A%22"
           "chat%22%7D" +
               times,
           "/api/traces/838c0a4ba5849364ee688f540bd417a1",
           "/api/traces/838c0a4ba5849364ee688f540bd417ff", "/api/traces?limit=3",
           "/api/v3/traces?query.service_name=none" + times_v3,
           "/api/v3/traces/838c0a4ba5849364ee688f540bd417ff"}) {
    const auto theirs = http::http_get(url() + target, kLong);
    const auto mine = http::http_get(ours + target, kLong);
    ASSERT_TRUE(theirs.has_value() && mine.has_value()) << target;
    EXPECT_EQ(mine->status, theirs->status) << target;
    json a = json::parse(theirs->body, nullptr, false);
    json b = json::parse(mine->body, nullptr, false);
    // It traces itself.
    if (a.is_object() && a.contains("data") && a["data"].is_array()) {
      std::erase(a["data"].get_ref<json::array_t&>(), json("jaeger"));
      a["total"] = b["total"];
    }
    EXPECT_EQ(comparable(b), comparable(a)) << target;
  }
}

}  // namespace
}  // namespace touchstone::harness
