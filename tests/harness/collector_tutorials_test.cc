// The configurations that public tutorials give their readers, mended and run by the real
// Collector. Only addresses, TLS and places of files are this machine's; skipped aloud where no
// Collector can be found.
#include <gtest/gtest.h>

#include <map>

#include "base/files.h"
#include "harness/collector/lint.h"
#include "telemetry/export/transports.h"
#include "telemetry/otlp/file.h"
#include "tests/support/paths.h"
#include "tests/support/real_collector.h"
#include "tests/support/recording_receiver.h"

namespace touchstone::harness {
namespace {

using telemetry::Attributes;
using telemetry::Value;
using testing::RealCollector;
using testing::RecordingReceiver;

constexpr int64_t kLong = 30 * kNsPerSecond;

struct Tutorial {
  const char* name;
  std::map<std::string, std::string> variables;  // as its reader sets them; BACKEND: host:port
  bool drops_persons = false;
  bool writes_file = false;
  Attributes resource = {};                         // that it adds
  std::map<std::string, std::string> headers = {};  // that its backend gets
};

std::string replaced_all(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// With the addresses of this machine; a health check and silent metrics where it says nothing of
/// them, so that a test knows when it is up.
std::string placed(std::string text, const std::string& backend) {
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"0.0.0.0:4317", "${env:OTLP_GRPC_ENDPOINT}"},
        {"0.0.0.0:4318", "${env:OTLP_HTTP_ENDPOINT}"},
        {"0.0.0.0:13133", "${env:HEALTH_ENDPOINT}"},
        {"port: 8888", "port: ${env:OWN_METRICS_PORT}"},
        {"/var/log/otel/audit.jsonl", "${env:SPANS_FILE}"},
        {"${env:SIGNOZ_IP}:4317", backend},
        {"signoz-otel-collector:4317", backend},
        // The vendor's receiver has TLS, this machine's has none.
        {"  otlp_grpc:\n    endpoint: ${env:DASH0",
         "  otlp_grpc:\n    tls: {insecure: true}\n    endpoint: ${env:DASH0"}}) {
    text = replaced_all(std::move(text), from, to);
  }
  std::string more;
  if (text.find("health_check") == std::string::npos) {
    text = "extensions:\n  health_check: {endpoint: \"${env:HEALTH_ENDPOINT}\"}\n\n" + text;
    more += "  extensions: [health_check]\n";
  }
  if (text.find("telemetry:") == std::string::npos)
    more += "  telemetry: {metrics: {level: none}}\n";
  return replaced_all(std::move(text), "\nservice:\n", "\nservice:\n" + more);
}

telemetry::Span span_named(const std::string& name, uint8_t number, Attributes attributes = {}) {
  telemetry::Span span;
  span.trace_id.bytes = {number, 7};
  span.span_id.bytes = {number, 1};
  span.name = name;
  span.start_unix_ns = 1'795'254'032 * kNsPerSecond;
  span.end_unix_ns = span.start_unix_ns + kNsPerMs;
  span.attributes = std::move(attributes);
  return span;
}

/// One span, and one with a person's address.
void send_two(const RealCollector& collector) {
  const RealClock clock;
  const telemetry::SpanOrigin origin{.scope = {"test", "", {}}, .schema_url = "", .resource = {}};
  auto options = telemetry::otlp_options(collector.places().otlp_grpc_url(), {});
  ASSERT_TRUE(options);
  auto exporter =
      telemetry::make_otlp_exporter(*options, {{{"service.name", Value("vllm")}}}, clock);
  ASSERT_TRUE(exporter);
  (*exporter)->submit(origin, span_named("llm_request", 1));
  (*exporter)->submit(origin, span_named("person", 2, {{"user.email", Value("jane@example.org")}}));
  EXPECT_TRUE((*exporter)->shutdown(kLong)) << (*exporter)->counters().last_problem;
}

void expect_arrived(const telemetry::TraceBatch& batch, const Tutorial& tutorial) {
  int64_t spans = 0;
  for (const telemetry::ResourceSpans& group : batch) {
    for (const telemetry::KeyValue& added : tutorial.resource) {
      const Value* value = telemetry::find(group.resource.attributes, added.key);
      ASSERT_NE(value, nullptr) << added.key;
      EXPECT_EQ(*value, added.value) << added.key;
    }
    for (const telemetry::ScopeSpans& scope : group.scope_spans) {
      spans += static_cast<int64_t>(scope.spans.size());
      for (const telemetry::Span& span : scope.spans) {
        EXPECT_TRUE(!tutorial.drops_persons || span.name == "llm_request") << span.name;
      }
    }
  }
  EXPECT_EQ(spans, tutorial.drops_persons ? 1 : 2);
}

std::vector<Tutorial> tutorials() {
  return {{.name = "tutorial-000.yaml",
           .variables = {},
           .resource = {{"deployment.region", Value("hetzner-nbg1-eu")},
                        {"deployment.environment.name", Value("production")}},
           .headers = {}},
          {.name = "tutorial-001.yaml",
           .variables = {},
           .drops_persons = true,
           .writes_file = true,
           .resource = {{"deployment.region", Value("eu-central")},
                        {"deployment.environment.name", Value("production")},
                        {"cloud.provider", Value("hetzner")},
                        {"cloud.region", Value("eu-central")}},
           .headers = {}},
          {.name = "observability-vendor.yaml",
           .variables = {{"DASH0_ENDPOINT_OTLP_GRPC_HOSTNAME", "127.0.0.1"},
                         {"DASH0_ENDPOINT_OTLP_GRPC_PORT", "BACKEND"},
                         {"DASH0_AUTH_TOKEN", "token-1"},
                         {"DASH0_DATASET", "llm"}},
           .resource = {},
           .headers = {{"authorization", "Bearer token-1"}, {"dash0-dataset", "llm"}}}};
}

class Tutorials : public ::testing::TestWithParam<Tutorial> {};

TEST_P(Tutorials, RunsOnceMended) {
  const Tutorial& tutorial = GetParam();
  const auto text =
      read_file(support::source_dir() + "/fixtures/collector_configs/" + tutorial.name);
  ASSERT_TRUE(text) << text.error().message;
  const auto lint = lint_collector_config(tutorial.name, *text);
  ASSERT_TRUE(lint) << lint.error().message;
  const auto backend = RecordingReceiver::start();
  ASSERT_TRUE(backend);
  const std::string port = std::to_string((*backend)->port());
  const auto folder = TemporaryDirectory::make("tutorial");
  ASSERT_TRUE(folder);
  const std::string config = folder->path() + "/collector.yaml";
  ASSERT_TRUE(write_file_atomic(config, placed(lint->fixed, "127.0.0.1:" + port)));
  std::map<std::string, std::string> variables = tutorial.variables;
  for (auto& [name, value] : variables) value = value == "BACKEND" ? port : value;
  const auto collector = RealCollector::start(config, folder->path(), variables);
  if (!collector && collector.error().message.starts_with("collector: no usable")) {
    GTEST_SKIP() << "no Collector here: `touchstone collector build`";
  }
  ASSERT_TRUE(collector) << collector.error().message;
  send_two(**collector);
  // What it batches for seconds it sends when it is told to stop.
  EXPECT_TRUE((*collector)->stop()) << (*collector)->process().log_tail();
  EXPECT_TRUE((*backend)->wait_for_spans(1, kLong));
  expect_arrived((*backend)->received(), tutorial);
  for (const auto& [name, value] : tutorial.headers) {
    EXPECT_EQ((*backend)->header(name), value) << name;
  }
  if (!tutorial.writes_file) return;
  const auto file = telemetry::read_otlp_file((*collector)->places().spans_file);
  ASSERT_TRUE(file) << file.error().message;
  expect_arrived(file->batch, tutorial);
}

INSTANTIATE_TEST_SUITE_P(CollectorConfigs, Tutorials, ::testing::ValuesIn(tutorials()),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           name.resize(name.find('.'));
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace touchstone::harness
