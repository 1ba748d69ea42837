// Every configuration of collector_configs/, run by the real Collector: what our exporter sends
// comes out as the file's head says. Skipped aloud where no Collector can be found.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/files.h"
#include "harness/collector/lint.h"
#include "http/client.h"
#include "telemetry/export/transports.h"
#include "telemetry/otlp/file.h"
#include "telemetry/prometheus/text.h"
#include "tests/harness/tiny_server.h"
#include "tests/support/paths.h"
#include "tests/support/real_collector.h"
#include "tests/support/recording_receiver.h"

namespace touchstone::harness {
namespace {

using telemetry::Attributes;
using telemetry::Span;
using telemetry::Value;
using testing::RealCollector;
using testing::RecordingReceiver;

constexpr int64_t kLong = 30 * kNsPerSecond;

std::string config_path(const std::string& name) {
  return support::source_dir() + "/collector_configs/" + name;
}

Span span_named(const std::string& name, uint8_t number, Attributes attributes = {}) {
  Span span;
  span.trace_id.bytes = {9, number, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, number};
  span.span_id.bytes = {number, 1};
  span.name = name;
  span.start_unix_ns = 1'795'254'032 * kNsPerSecond;
  span.end_unix_ns = span.start_unix_ns + kNsPerMs;
  span.attributes = std::move(attributes);
  return span;
}

std::vector<Span> all_spans(const telemetry::TraceBatch& batch) {
  std::vector<Span> spans;
  for (const auto& group : batch) {
    for (const auto& scope : group.scope_spans) {
      spans.insert(spans.end(), scope.spans.begin(), scope.spans.end());
    }
  }
  return spans;
}

std::set<std::string> names_of(const telemetry::TraceBatch& batch) {
  std::set<std::string> names;
  for (const Span& span : all_spans(batch)) names.insert(span.name);
  return names;
}

std::string text_at(const Attributes& attributes, const char* key) {
  const Value* value = telemetry::find(attributes, key);
  return value == nullptr ? "(none)" : value->text();
}

class CollectorConfigs : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("collector-configs");
    ASSERT_TRUE(made);
    folder_.emplace(*std::move(made));
    auto backend = RecordingReceiver::start();
    ASSERT_TRUE(backend);
    backend_ = *std::move(backend);
  }

  std::string backend_address() const { return "127.0.0.1:" + std::to_string(backend_->port()); }

  std::unique_ptr<RealCollector> start(const std::string& name,
                                       std::map<std::string, std::string> more = {}) {
    const std::string folder = folder_->path() + "/" + name;
    EXPECT_TRUE(make_directories(folder));
    more.emplace("BACKEND_ENDPOINT", backend_address());
    more.emplace("QUEUE_DIRECTORY", folder + "/queue");
    auto collector = RealCollector::start(config_path(name), folder, std::move(more));
    if (!collector) {
      missing_ = collector.error().code == ErrorCode::kUnavailable &&
                 collector.error().message.starts_with("collector: no usable");
      EXPECT_TRUE(missing_) << collector.error().message;
      return nullptr;
    }
    return *std::move(collector);
  }

  /// All of them acknowledged.
  bool send(const RealCollector& collector, std::vector<Span> spans, Attributes resource = {}) {
    resource.push_back({"service.name", Value("test")});
    auto options = telemetry::otlp_options(collector.places().otlp_grpc_url(), {});
    EXPECT_TRUE(options);
    auto exporter = telemetry::make_otlp_exporter(*options, {std::move(resource)}, clock_);
    EXPECT_TRUE(exporter);
    for (Span& span : spans) (*exporter)->submit(origin_, std::move(span));
    const bool sent = (*exporter)->shutdown(kLong);
    EXPECT_TRUE(sent) << (*exporter)->counters().last_problem;
    return sent;
  }

  const RealClock clock_;
  const telemetry::SpanOrigin origin_{.scope = {"test", "", {}}, .schema_url = "", .resource = {}};
  std::optional<TemporaryDirectory> folder_;
  std::unique_ptr<RecordingReceiver> backend_;
  bool missing_ = false;
};

#define START_OR_SKIP(collector, ...)                                              \
  const auto collector = start(__VA_ARGS__);                                       \
  if (missing_) GTEST_SKIP() << "no Collector here: `touchstone collector build`"; \
  ASSERT_NE(collector, nullptr)

TEST_F(CollectorConfigs, HaveNothingThatTheLintWouldSay) {
  int configs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(config_path(""))) {
    if (entry.path().extension() != ".yaml") continue;
    ++configs;
    const auto text = read_file(entry.path());
    ASSERT_TRUE(text);
    const auto lint = lint_collector_config(entry.path().filename(), *text);
    ASSERT_TRUE(lint) << lint.error().message;
    for (const LintFinding& finding : lint->findings) {
      ADD_FAILURE() << entry.path() << ":" << finding.line << ": " << finding.message;
    }
  }
  EXPECT_GE(configs, 13);
}

TEST_F(CollectorConfigs, AuditSaysWhereFromAndKeepsPersonsOut) {
  START_OR_SKIP(collector, "audit.yaml",
                {{"DEPLOYMENT_REGION", "hetzner-nbg1-eu"},
                 {"CLOUD_PROVIDER", "hetzner"},
                 {"CLOUD_REGION", "eu-central"}});
  ASSERT_TRUE(send(*collector,
                   {span_named("kept", 1, {{"note", "card 4111 1111 1111 1111"}}),
                    span_named("person", 2, {{"user.email", "a@example.org"}}),
                    span_named("masked", 3, {{"x", "mail bob@example.org now"}})},
                   {{"deployment.region", Value("elsewhere")}}));
  EXPECT_TRUE(collector->stop());
  const auto file = telemetry::read_otlp_file(collector->places().spans_file);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(names_of(file->batch), (std::set<std::string>{"kept", "masked"}));
  for (const auto& group : file->batch) {
    const Attributes& resource = group.resource.attributes;
    EXPECT_EQ(text_at(resource, "deployment.region"), "hetzner-nbg1-eu");
    EXPECT_EQ(text_at(resource, "deployment.environment.name"), "production");
    EXPECT_EQ(text_at(resource, "deployment.environment"), "production");
    EXPECT_EQ(text_at(resource, "cloud.provider"), "hetzner");
    EXPECT_EQ(text_at(resource, "cloud.region"), "eu-central");
  }
  for (const Span& span : all_spans(file->batch)) {
    EXPECT_EQ(text_at(span.attributes, "note").find("4111"), std::string::npos);
    EXPECT_EQ(text_at(span.attributes, "x").find("bob@"), std::string::npos);
  }
}

TEST_F(CollectorConfigs, BackendsGetTheirSpansAndTheirHeaders) {
  struct Row {
    const char* config;
    std::map<std::string, std::string> variables;
    std::map<std::string, std::string> headers;
  };
  const std::string at = backend_address();
  for (const Row& row : {Row{"backend-jaeger.yaml", {{"JAEGER_ENDPOINT", at}}, {}},
                         Row{"backend-tempo.yaml",
                             {{"TEMPO_ENDPOINT", at}, {"TEMPO_TENANT", "acme"}},
                             {{"x-scope-orgid", "acme"}}},
                         Row{"backend-signoz.yaml",
                             {{"SIGNOZ_ENDPOINT", at}, {"SIGNOZ_INGESTION_KEY", "key-1"}},
                             {{"signoz-ingestion-key", "key-1"}}},
                         Row{"backend-dash0.yaml",
                             {{"DASH0_ENDPOINT", at},
                              {"DASH0_INSECURE", "true"},
                              {"DASH0_AUTH_TOKEN", "token-1"},
                              {"DASH0_DATASET", "llm"}},
                             {{"authorization", "Bearer token-1"}, {"dash0-dataset", "llm"}}}}) {
    SCOPED_TRACE(row.config);
    const int64_t before = backend_->spans_received();
    START_OR_SKIP(collector, row.config, row.variables);
    ASSERT_TRUE(send(*collector, {span_named(row.config, 1)}));
    EXPECT_TRUE(backend_->wait_for_spans(before + 1, kLong));
    EXPECT_TRUE(names_of(backend_->received()).contains(row.config));
    for (const auto& [name, value] : row.headers) EXPECT_EQ(backend_->header(name), value);
    EXPECT_TRUE(collector->stop());
  }
}

TEST_F(CollectorConfigs, DurableKeepsWhatItTookOverItsOwnDeath) {
  backend_->behave({.grpc_code = 14, .message = "down"}, 1'000'000);
  START_OR_SKIP(collector, "durable.yaml");
  std::vector<Span> spans;
  for (uint8_t i = 1; i <= 50; ++i) spans.push_back(span_named("s" + std::to_string(i), i));
  ASSERT_TRUE(send(*collector, std::move(spans)));
  collector->kill();
  backend_->behave({}, 0);
  ASSERT_TRUE(collector->start_again());
  EXPECT_TRUE(backend_->wait_for_spans(50, kLong)) << backend_->spans_received();
  EXPECT_EQ(names_of(backend_->received()).size(), 50u);
  EXPECT_TRUE(collector->stop());
}

TEST_F(CollectorConfigs, PrometheusScrapesAndTakesSpansAtOnce) {
  const TinyServer application;
  START_OR_SKIP(collector, "prometheus.yaml",
                {{"SUBJECT_ADDRESS", "127.0.0.1:" + std::to_string(application.port())},
                 {"APPLICATION_ADDRESS", "127.0.0.1:1"},
                 {"SCRAPE_INTERVAL", "1s"}});
  ASSERT_TRUE(send(*collector, {span_named("both", 1)}));
  EXPECT_TRUE(backend_->wait_for_spans(1, kLong));
  const std::string url =
      "http://127.0.0.1:" + std::to_string(collector->places().subject_metrics_port) + "/metrics";
  const auto up = [&](const char* job) -> std::optional<double> {
    const auto page = http::http_get_body(url, kNsPerSecond);
    const auto parsed = page ? telemetry::parse_prometheus_text("metrics", *page)
                             : Result<telemetry::MetricsPage>(page.error());
    return parsed ? parsed->value("up", {{"job", job}}) : std::nullopt;
  };
  const Status scraped = collector->process().wait_until(
      [&] { return up("vllm") && up("rag-app"); }, "both jobs' up", kLong);
  EXPECT_TRUE(scraped) << scraped.error().message;
  EXPECT_EQ(up("rag-app"), 0) << "nobody is there";
  EXPECT_TRUE(collector->stop());
}

TEST_F(CollectorConfigs, TailSamplingKeepsWhatFailedAndAFewOfTheRest) {
  START_OR_SKIP(collector, "tail-sampling.yaml", {{"DECISION_WAIT", "1s"}});
  std::vector<Span> spans;
  for (uint8_t i = 1; i <= 200; ++i) {
    spans.push_back(span_named((i <= 20 ? "failed" : "good") + std::to_string(i), i));
    if (i <= 20) spans.back().status = telemetry::StatusCode::kError;
  }
  ASSERT_TRUE(send(*collector, std::move(spans)));
  const Status decided = collector->process().wait_until(
      [&] {
        return collector->own_metric("otelcol_processor_tail_sampling_global_count_traces_sampled")
                   .value_or(0) >= 200;
      },
      "200 decisions", kLong);
  EXPECT_TRUE(decided) << decided.error().message;
  EXPECT_TRUE(collector->stop());
  int failed = 0;
  int good = 0;
  for (const std::string& name : names_of(backend_->received())) {
    ++(name.starts_with("failed") ? failed : good);
  }
  EXPECT_EQ(failed, 20);
  EXPECT_LT(good, 90) << "one in ten of 180, by the hash of their ids";
}

TEST_F(CollectorConfigs, TheMemoryLimiterRefusesAndTheSenderKnows) {
  START_OR_SKIP(collector, "memory-limiter.yaml",
                {{"MEMORY_LIMIT_MIB", "2"}, {"MEMORY_SPIKE_MIB", "1"}});
  const Status limited = collector->process().wait_until(
      [&] { return collector->process().log_tail(50).find("Refusing data") != std::string::npos; },
      "the limiter", kLong);
  ASSERT_TRUE(limited) << limited.error().message;
  auto options = telemetry::otlp_options(collector->places().otlp_grpc_url(),
                                         {{"OTEL_BSP_EXPORT_TIMEOUT", "1000"}});
  auto exporter = telemetry::make_otlp_exporter(*options, {}, clock_);
  ASSERT_TRUE(exporter);
  (*exporter)->submit(origin_, span_named("refused", 1));
  EXPECT_FALSE((*exporter)->shutdown(kLong));
  EXPECT_EQ((*exporter)->counters().failed, 1);
  EXPECT_NE((*exporter)->counters().last_problem.find("memory usage"), std::string::npos)
      << (*exporter)->counters().last_problem;
  EXPECT_EQ(backend_->spans_received(), 0);
  EXPECT_TRUE(collector->stop());
}

TEST_F(CollectorConfigs, AgentAndGatewayAreOneWay) {
  START_OR_SKIP(gateway, "gateway.yaml",
                {{"DEPLOYMENT_REGION", "eu"}, {"BACKEND_TOKEN", "token-2"}});
  START_OR_SKIP(
      agent, "agent.yaml",
      {{"NODE_NAME", "gpu-7"},
       {"GATEWAY_ENDPOINT", "127.0.0.1:" + std::to_string(gateway->places().otlp_grpc_port)}});
  ASSERT_TRUE(send(*agent, {span_named("far", 1), span_named("person", 2, {{"user.email", "x"}})}));
  EXPECT_TRUE(backend_->wait_for_spans(1, kLong));
  EXPECT_TRUE(agent->stop());
  EXPECT_TRUE(gateway->stop());
  const telemetry::TraceBatch received = backend_->received();
  EXPECT_EQ(names_of(received), std::set<std::string>{"far"});
  EXPECT_EQ(text_at(received[0].resource.attributes, "host.name"), "gpu-7");
  EXPECT_EQ(text_at(received[0].resource.attributes, "deployment.region"), "eu");
  EXPECT_EQ(backend_->header("authorization"), "Bearer token-2");
}

TEST_F(CollectorConfigs, ResidencyLetsNothingFromElsewhereThrough) {
  START_OR_SKIP(collector, "residency.yaml", {{"DEPLOYMENT_REGION", "eu-1"}});
  ASSERT_TRUE(send(*collector, {span_named("here", 1)}, {{"deployment.region", Value("eu-1")}}));
  ASSERT_TRUE(send(*collector, {span_named("there", 2)}, {{"deployment.region", Value("us-1")}}));
  ASSERT_TRUE(send(*collector, {span_named("unsaid", 3)}));
  EXPECT_TRUE(backend_->wait_for_spans(2, kLong));
  EXPECT_TRUE(collector->stop());
  EXPECT_EQ(names_of(backend_->received()), (std::set<std::string>{"here", "unsaid"}));
  for (const auto& group : backend_->received()) {
    EXPECT_EQ(text_at(group.resource.attributes, "deployment.region"), "eu-1");
  }
}

}  // namespace
}  // namespace touchstone::harness
