// Our exporter against the real OpenTelemetry Collector, every dialect over every transport: what
// it writes to its file is what we sent. Skipped aloud where no Collector can be found.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/files.h"
#include "telemetry/export/span_pipeline.h"
#include "telemetry/export/transports.h"
#include "telemetry/otlp/file.h"
#include "telemetry/resource.h"
#include "tests/support/real_collector.h"

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

struct Transported {
  const char* name;
  Environment environment;
  bool http;
};

class EveryDialect : public ::testing::TestWithParam<Transported> {};

std::string all_dialects() {
  std::string names;
  for (const DialectRow& row : dialect_rows()) {
    names += (names.empty() ? "" : ",") + std::string(row.name);
  }
  return names;
}

/// A request of each outcome, many times over.
std::vector<records::RequestRecord> requests() {
  std::vector<records::RequestRecord> made;
  constexpr records::Outcome kOutcomes[] = {records::Outcome::kStop, records::Outcome::kAbort,
                                            records::Outcome::kRefused};
  for (int i = 0; i < 300; ++i) {
    records::RequestRecord& record = made.emplace_back();
    record.trace = records::TraceContext{};
    record.trace->trace_id.bytes[0] = 9;
    record.trace->parent_span_id.bytes[0] = 9;
    record.trace->flags = 1;
    record.trace->trace_state = "vendor=1";
    record.http_span_id.emplace().bytes[0] = static_cast<uint8_t>(1 + i % 200);
    record.request_id = "cmpl-" + std::to_string(i) + "-0";
    record.endpoint = "/v1/completions";
    record.model = "tiny";
    record.tenant = "Müller & Söhne";
    record.outcome = kOutcomes[i % 3];
    record.finished_ns = 90;
    if (record.outcome == records::Outcome::kRefused) continue;
    record.tokenize_ns = 5;
    record.queued_ns = 10;
    record.first_scheduled_ns = 20;
    record.first_token_ns = 30;
    record.last_token_ns = 80;
    record.prompt_tokens = 40;
    record.completion_tokens = 8;
    record.max_tokens = 9;
    record.temperature = 0.7;
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
      EXPECT_EQ(scope.schema_url, dialect.origin().schema_url);
      written.insert(written.end(), scope.spans.begin(), scope.spans.end());
    }
  }
  EXPECT_GT(expected.size(), 0u);
  EXPECT_TRUE(written == expected) << dialect.origin().scope.name << ": " << written.size()
                                   << " spans, expected " << expected.size();
}

TEST_P(EveryDialect, ArrivesAsItWasSent) {
  const auto folder = TemporaryDirectory::make("collector-test");
  ASSERT_TRUE(folder);
  const std::string config = folder->path() + "/collector.yaml";
  ASSERT_TRUE(write_file_atomic(config, kConfig));
  const auto collector = testing::RealCollector::start(config, folder->path());
  if (!collector) {
    GTEST_SKIP() << "no Collector here (`touchstone collector build` makes one): "
                 << collector.error().message;
  }
  const harness::CollectorPlaces& places = (*collector)->places();
  Environment environment = GetParam().environment;
  environment["OTEL_BSP_MAX_QUEUE_SIZE"] = "10000";
  const auto options =
      otlp_options(GetParam().http ? places.otlp_http_url() : places.otlp_grpc_url(), environment);
  ASSERT_TRUE(options) << options.error().message;
  const RealClock clock;
  auto exporter = make_otlp_exporter(*options, make_vllm_resource({"id", 1, {}}).resource, clock);
  ASSERT_TRUE(exporter);
  const std::vector<records::RequestRecord> records = requests();
  {
    SpanPipeline pipeline(*make_dialects(all_dialects(), {}), 7, **exporter);
    for (const records::RequestRecord& record : records) pipeline.on_request(record);
    EXPECT_TRUE((*exporter)->shutdown(kLong)) << (*exporter)->counters().last_problem;
  }
  EXPECT_TRUE((*collector)->stop()) << (*collector)->process().log_tail();

  const auto file = read_otlp_file(places.spans_file);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->summary.problem_count, 0);
  EXPECT_EQ((*exporter)->counters().exported, file->summary.spans);
  // The Collector changes nothing: the same spans, in order, with resource and scope.
  SpanIds ids(7);
  const auto dialects = *make_dialects(all_dialects(), {});
  std::vector<std::vector<Span>> expected(dialects.size());
  for (const records::RequestRecord& record : records) {
    for (size_t i = 0; i < dialects.size(); ++i) {
      dialects[i]->append_spans(record, ids, expected[i]);
    }
  }
  EXPECT_EQ(expected[0].size(), 100u) << "vllm records what was answered";
  EXPECT_EQ(expected[2].size(), 300u) << "audit records everything";
  for (size_t i = 0; i < dialects.size(); ++i) {
    expect_written(file->batch, *dialects[i], expected[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Transports, EveryDialect,
    ::testing::Values(
        Transported{"grpc", {}, false},
        Transported{"grpc_gzip", {{"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}}, false},
        Transported{"http", {{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"}}, true},
        Transported{"http_gzip",
                    {{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
                     {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}},
                    true},
        Transported{"json", {{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"}}, true},
        Transported{"json_gzip",
                    {{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
                     {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}},
                    true}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace touchstone::telemetry
