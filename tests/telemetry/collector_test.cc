// Our exporter against the real OpenTelemetry Collector: what it writes to its file is what we
// sent. Skipped aloud where no Collector can be found; set TOUCHSTONE_COLLECTOR to name one.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/clock.h"
#include "base/files.h"
#include "harness/collector/find.h"
#include "harness/process/ports.h"
#include "http/client.h"
#include "telemetry/export/otlp_grpc_transport.h"
#include "telemetry/export/span_pipeline.h"
#include "telemetry/otlp/file.h"
#include "telemetry/resource.h"

namespace touchstone::telemetry {
namespace {

constexpr int64_t kLong = 30 * kNsPerSecond;
constexpr char kConfig[] = R"(receivers:
  otlp:
    protocols:
      grpc:
        endpoint: ${env:OTLP_GRPC_ENDPOINT}
exporters:
  file:
    path: ${env:SPANS_FILE}
    flush_interval: 100ms
extensions:
  health_check:
    endpoint: ${env:HEALTH_ENDPOINT}
service:
  telemetry:
    metrics:
      level: none
  extensions: [health_check]
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [file]
)";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

harness::CollectorSearch search() {
  harness::CollectorSearch result;
  const std::string named = variable("TOUCHSTONE_COLLECTOR");
  if (!named.empty()) result.environment = named;
  result.path = variable("PATH");
  const std::string cache = variable("XDG_CACHE_HOME");
  result.cache = (cache.empty() ? variable("HOME") + "/.cache" : cache) + "/touchstone";
  return result;
}

TEST(RealCollector, WritesTheSpansThatTheExporterSent) {
  const RealClock clock;
  const harness::Supervision supervision{clock};
  const auto collector = harness::find_collector(
      search(),
      {{"receivers", {"otlp"}}, {"exporters", {"file"}}, {"extensions", {"health_check"}}},
      supervision);
  if (!collector) {
    GTEST_SKIP() << "no Collector here (`touchstone collector build` makes one): "
                 << collector.error().message;
  }
  const auto directory = TemporaryDirectory::make("collector-test");
  ASSERT_TRUE(directory);
  harness::PortReservation ports;
  const auto grpc_port = ports.take();
  const auto health_port = ports.take();
  ASSERT_TRUE(grpc_port && health_port);
  const std::string spans_file = directory->path() + "/spans.jsonl";
  const std::string config = directory->path() + "/collector.yaml";
  ASSERT_TRUE(write_file_atomic(config, kConfig));
  const std::string health = "127.0.0.1:" + std::to_string(*health_port);
  const std::string grpc = "127.0.0.1:" + std::to_string(*grpc_port);
  auto process = harness::ChildProcess::spawn({.name = "collector",
                                               .argv = {collector->path, "--config", config},
                                               .environment = {{"OTLP_GRPC_ENDPOINT", grpc},
                                                               {"HEALTH_ENDPOINT", health},
                                                               {"SPANS_FILE", spans_file}},
                                               .log_path = directory->path() + "/collector.log"},
                                              supervision);
  ASSERT_TRUE(process) << process.error().message;
  const Status ready = (*process)->wait_until(
      [&] { return http::http_get_body("http://" + health, kNsPerSecond).has_value(); },
      "the Collector's health", kLong);
  ASSERT_TRUE(ready) << ready.error().message;

  const auto options = otlp_options("http://" + grpc, {});
  ASSERT_TRUE(options);
  auto exporter =
      make_otlp_grpc_exporter(*options, make_vllm_resource({"id", 1, {}}).resource, clock);
  ASSERT_TRUE(exporter);
  SpanPipeline pipeline({*find_dialect("vllm")}, 7, **exporter);
  constexpr int kRequests = 1000;
  records::RequestRecord record;
  record.trace = records::TraceContext{};
  record.trace->trace_id.bytes[0] = 9;
  record.trace->parent_span_id.bytes[0] = 9;
  record.trace->flags = 1;
  record.trace->trace_state = "vendor=1";
  for (int i = 0; i < kRequests; ++i) {
    record.request_id = "cmpl-" + std::to_string(i) + "-0";
    pipeline.on_request(record);
  }
  EXPECT_TRUE((*exporter)->shutdown(kLong)) << (*exporter)->counters().last_problem;
  EXPECT_EQ((*exporter)->counters().exported, kRequests);
  EXPECT_TRUE((*process)->stop(kLong).status.good()) << (*process)->log_tail();

  const auto file = read_otlp_file(spans_file);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->summary.problem_count, 0);
  EXPECT_EQ(file->summary.spans, kRequests);
  // The Collector changes nothing: the same spans, in order, with resource and scope.
  SpanIds ids(7);
  std::vector<Span> expected;
  for (int i = 0; i < kRequests; ++i) {
    record.request_id = "cmpl-" + std::to_string(i) + "-0";
    vllm_dialect().append_spans(record, ids, expected);
  }
  std::vector<Span> written;
  for (const ResourceSpans& group : file->batch) {
    EXPECT_EQ(group.resource, make_vllm_resource({"id", 1, {}}).resource);
    for (const ScopeSpans& scope : group.scope_spans) {
      EXPECT_EQ(scope.scope, vllm_dialect().scope);
      written.insert(written.end(), scope.spans.begin(), scope.spans.end());
    }
  }
  EXPECT_TRUE(written == expected);
}

}  // namespace
}  // namespace touchstone::telemetry
