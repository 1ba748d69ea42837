// Our exporter against the real OpenTelemetry Collector: what it writes to its file is what we
// sent. Skipped aloud where no Collector can be found; set TOUCHSTONE_COLLECTOR to name one.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/clock.h"
#include "base/files.h"
#include "harness/collector/find.h"
#include "harness/process/ports.h"
#include "http/client.h"
#include "telemetry/export/span_pipeline.h"
#include "telemetry/export/transports.h"
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
      http:
        endpoint: ${env:OTLP_HTTP_ENDPOINT}
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

struct Transported {
  const char* name;
  Environment environment;
  bool http;
};

class RealCollector : public ::testing::TestWithParam<Transported> {};

/// A request of each outcome, many times over.
std::vector<records::RequestRecord> requests() {
  std::vector<records::RequestRecord> made;
  constexpr records::Outcome kOutcomes[] = {records::Outcome::kStop, records::Outcome::kAbort,
                                            records::Outcome::kRefused};
  for (int i = 0; i < 999; ++i) {
    records::RequestRecord& record = made.emplace_back();
    record.trace = records::TraceContext{};
    record.trace->trace_id.bytes[0] = 9;
    record.trace->parent_span_id.bytes[0] = 9;
    record.trace->flags = 1;
    record.trace->trace_state = "vendor=1";
    record.request_id = "cmpl-" + std::to_string(i) + "-0";
    record.outcome = kOutcomes[i % 3];
  }
  return made;
}

/// What one dialect makes of them, and under which resource: what the Collector must write.
void expect_written(const TraceBatch& batch, const Dialect& dialect,
                    const std::vector<Span>& expected) {
  Resource resource = make_vllm_resource({"id", 1, {}}).resource;
  for (const KeyValue& added : dialect.origin().resource) resource.attributes.push_back(added);
  std::vector<Span> written;
  for (const ResourceSpans& group : batch) {
    for (const ScopeSpans& scope : group.scope_spans) {
      if (scope.scope != dialect.origin().scope) continue;
      EXPECT_EQ(group.resource, resource);
      written.insert(written.end(), scope.spans.begin(), scope.spans.end());
    }
  }
  EXPECT_TRUE(written == expected) << dialect.origin().scope.name << ": " << written.size()
                                   << " spans, expected " << expected.size();
}

TEST_P(RealCollector, WritesTheSpansOfEveryDialectThatTheExporterSent) {
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
  const auto http_port = ports.take();
  const auto health_port = ports.take();
  ASSERT_TRUE(grpc_port && http_port && health_port);
  const std::string spans_file = directory->path() + "/spans.jsonl";
  const std::string config = directory->path() + "/collector.yaml";
  ASSERT_TRUE(write_file_atomic(config, kConfig));
  const std::string health = "127.0.0.1:" + std::to_string(*health_port);
  const std::string grpc = "127.0.0.1:" + std::to_string(*grpc_port);
  const std::string http = "127.0.0.1:" + std::to_string(*http_port);
  auto process = harness::ChildProcess::spawn({.name = "collector",
                                               .argv = {collector->path, "--config", config},
                                               .environment = {{"OTLP_GRPC_ENDPOINT", grpc},
                                                               {"OTLP_HTTP_ENDPOINT", http},
                                                               {"HEALTH_ENDPOINT", health},
                                                               {"SPANS_FILE", spans_file}},
                                               .log_path = directory->path() + "/collector.log"},
                                              supervision);
  ASSERT_TRUE(process) << process.error().message;
  const Status ready = (*process)->wait_until(
      [&] { return touchstone::http::http_get_body("http://" + health, kNsPerSecond).has_value(); },
      "the Collector's health", kLong);
  ASSERT_TRUE(ready) << ready.error().message;

  const auto options =
      otlp_options("http://" + (GetParam().http ? http : grpc), GetParam().environment);
  ASSERT_TRUE(options) << options.error().message;
  auto exporter = make_otlp_exporter(*options, make_vllm_resource({"id", 1, {}}).resource, clock);
  ASSERT_TRUE(exporter);
  const std::vector<records::RequestRecord> records = requests();
  SpanPipeline pipeline(*make_dialects("vllm,audit", {}), 7, **exporter);
  for (const records::RequestRecord& record : records) pipeline.on_request(record);
  EXPECT_TRUE((*exporter)->shutdown(kLong)) << (*exporter)->counters().last_problem;
  EXPECT_TRUE((*process)->stop(kLong).status.good()) << (*process)->log_tail();

  const auto file = read_otlp_file(spans_file);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->summary.problem_count, 0);
  EXPECT_EQ((*exporter)->counters().exported, file->summary.spans);
  // The Collector changes nothing: the same spans, in order, with resource and scope.
  SpanIds ids(7);
  const auto dialects = *make_dialects("vllm,audit", {});
  std::vector<std::vector<Span>> expected(dialects.size());
  for (const records::RequestRecord& record : records) {
    for (size_t i = 0; i < dialects.size(); ++i) {
      dialects[i]->append_spans(record, ids, expected[i]);
    }
  }
  EXPECT_EQ(expected[0].size(), 333u) << "vllm records what was answered";
  EXPECT_EQ(expected[1].size(), 999u) << "audit records everything";
  for (size_t i = 0; i < dialects.size(); ++i) {
    expect_written(file->batch, *dialects[i], expected[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Transports, RealCollector,
    ::testing::Values(Transported{"grpc", {}, false},
                      Transported{
                          "http", {{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"}}, true},
                      Transported{"http_gzip",
                                  {{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
                                   {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}},
                                  true}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace touchstone::telemetry
