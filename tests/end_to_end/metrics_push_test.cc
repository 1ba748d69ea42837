// What `serve --otlp-metrics-endpoint` pushes, through the real Collector, is what /metrics shows.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "http/client.h"
#include "telemetry/prometheus/registry.h"
#include "telemetry/prometheus/text.h"
#include "tests/end_to_end/stack.h"
#include "tests/support/paths.h"
#include "tests/support/real_collector.h"

namespace touchstone::end_to_end {
namespace {

using nlohmann::json;
using telemetry::Labels;
using Samples = std::map<std::pair<std::string, Labels>, double>;

constexpr char kConfig[] = R"(
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:OTLP_GRPC_ENDPOINT}"}
      http: {endpoint: "${env:OTLP_HTTP_ENDPOINT}"}
exporters:
  file: {path: "${env:SPANS_FILE}", flush_interval: 100ms}
extensions:
  health_check: {endpoint: "${env:HEALTH_ENDPOINT}"}
service:
  extensions: [health_check]
  pipelines:
    metrics: {receivers: [otlp], exporters: [file]}
  telemetry:
    metrics:
      readers:
        - pull: {exporter: {prometheus: {host: 127.0.0.1, port: "${env:OWN_METRICS_PORT}"}}}
)";

/// The process's own, which go on after the page was asked for, and what no push has as a sample.
bool is_compared(const std::string& name) {
  return !name.starts_with("process_") && !name.ends_with("_created");
}

Samples samples_of(const telemetry::MetricsPage& page) {
  Samples samples;
  for (const telemetry::MetricFamily& family : page.families) {
    for (const telemetry::Sample& sample : family.samples) {
      if (is_compared(sample.name)) samples[{sample.name, sample.labels}] = sample.value;
    }
  }
  return samples;
}

/// One request that the Collector wrote, and what is compared of it.
struct Pushed {
  json request;
  Samples samples;
  std::map<std::pair<std::string, Labels>, double> starts_s;
  int64_t exemplars = 0;
  std::map<std::string, std::string> resource;

  explicit Pushed(json text) : request(std::move(text)) {
    const json& group = request.at("resourceMetrics").at(0);
    for (const json& item : group.at("resource").at("attributes")) {
      resource[item.at("key")] = item.at("value").value("stringValue", "");
    }
    for (const json& metric : group.at("scopeMetrics").at(0).at("metrics")) read(metric);
  }

 private:
  static double number(const json& value) {
    return value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>();
  }
  void put(const std::string& name, const Labels& labels, double value) {
    if (is_compared(name)) samples[{name, labels}] = value;
  }

  void read(const json& metric) {
    for (const char* kind : {"gauge", "sum", "histogram", "summary"}) {
      if (!metric.contains(kind)) continue;
      const json& data = metric.at(kind);
      EXPECT_EQ(data.value("aggregationTemporality", 2), 2) << "cumulative";
      EXPECT_EQ(data.value("isMonotonic", std::string(kind) == "sum"), std::string(kind) == "sum");
      for (const json& point : data.at("dataPoints")) read_point(metric.at("name"), point);
    }
  }

  void read_point(const std::string& name, const json& point) {
    Labels labels;
    for (const json& item : point.value("attributes", json::array())) {
      labels[item.at("key")] = item.at("value").value("stringValue", "");
    }
    if (point.contains("startTimeUnixNano")) {
      starts_s[{name, labels}] = number(point.at("startTimeUnixNano")) / 1e9;
    }
    if (point.contains("asDouble")) return put(name, labels, number(point.at("asDouble")));
    const double count = number(point.value("count", json(0)));
    put(name + "_count", labels, count);
    put(name + "_sum", labels, number(point.value("sum", json(0))));
    if (!point.contains("bucketCounts")) return;
    exemplars += static_cast<int64_t>(point.value("exemplars", json::array()).size());
    const json bounds = point.value("explicitBounds", json::array());
    double cumulated = 0;
    for (size_t i = 0; i < point.at("bucketCounts").size(); ++i) {
      cumulated += number(point.at("bucketCounts")[i]);
      const double bound = i < bounds.size() ? number(bounds[i]) : INFINITY;
      Labels with_bound = labels;
      with_bound["le"] = telemetry::format_prometheus_number(bound);
      put(name + "_bucket", with_bound, cumulated);
    }
    EXPECT_EQ(cumulated, count) << name;
  }
};

struct PushedOver {
  const char* name;
  const char* protocol;  // empty: gRPC
};

class MetricsPush : public Check, public ::testing::WithParamInterface<PushedOver> {
 protected:
  /// Four completions of three requests, and the page then.
  std::string served_page(uint16_t port) const {
    const std::string url = "http://127.0.0.1:" + std::to_string(port);
    const std::string request =
        R"({"prompt": "The old man", "output_tokens": 8, "arrival_ns": 0, )";
    const std::string load = write("load.jsonl", "{\"workload\": 1}\n" + request +
                                                     R"("sampling": {"ignore_eos": true}})"
                                                     "\n" +
                                                     request +
                                                     R"("sampling": {"n": 2, "ignore_eos": true}})"
                                                     "\n" +
                                                     request +
                                                     R"("stream": true, "tenant": "acme", )"
                                                     R"("sampling": {"ignore_eos": true}})"
                                                     "\n");
    const auto ran =
        harness::run_and_capture({.name = "load",
                                  .argv = {support::touchstone_binary(), "load", "--url", url,
                                           "--workload", load, "--record", path("run")}},
                                 supervision_, 60 * kNsPerSecond);
    EXPECT_TRUE(ran && ran->status.good()) << (ran ? ran->errors : ran.error().message);
    const auto page = http::http_get_body(url + "/metrics", 10 * kNsPerSecond);
    EXPECT_TRUE(page);
    return page ? *page : "";
  }
};

TEST_P(MetricsPush, TheLastOneHasWhatThePageHad) {
  const auto collector =
      testing::RealCollector::start(write("metrics.yaml", kConfig), folder_->path());
  ASSERT_TRUE(collector) << collector.error().message;
  const harness::CollectorPlaces& places = (*collector)->places();
  harness::PortReservation ports;
  const auto port = ports.take();
  ASSERT_TRUE(port);
  const bool http = *GetParam().protocol != '\0';
  const auto server =
      serve(*port, *ports.take(),
            {"--otlp-metrics-endpoint", http ? places.otlp_http_url() : places.otlp_grpc_url(),
             "--otlp-metrics-interval", "0.2", "--span-dialect=vllm,genai", "--tenant-from=user"},
            http ? std::map<std::string, std::string>{{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
                                                       GetParam().protocol}}
                 : std::map<std::string, std::string>{});
  const std::string text = served_page(*port);
  const auto page = telemetry::parse_prometheus_text("page", text);
  ASSERT_TRUE(page);
  server->send_signal(SIGTERM);
  const auto ended = server->wait_for_exit(60 * kNsPerSecond);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_TRUE((*collector)->stop()) << (*collector)->process().log_tail();

  const auto lines = read_file(places.spans_file);
  ASSERT_TRUE(lines) << lines.error().message;
  std::vector<Pushed> pushes;
  for (const std::string& line : split(std::string(trim(*lines)), '\n')) {
    pushes.emplace_back(json::parse(line));
  }
  ASSERT_GE(pushes.size(), 2u) << "one each 0.2 s, and one at the end";
  const Pushed& last = pushes.back();
  const Samples expected = samples_of(*page);
  EXPECT_GT(expected.size(), 300u);
  for (const auto& [key, value] : expected) {
    // The exporter of spans goes on until the end.
    if (key.first.starts_with("touchstone_")) continue;
    const auto found = last.samples.find(key);
    ASSERT_NE(found, last.samples.end()) << key.first;
    EXPECT_EQ(found->second, value) << key.first;
  }
  EXPECT_EQ(last.samples.size(), expected.size()) << "nothing besides";
  EXPECT_EQ(
      last.samples.at(
          {"vllm:request_success_total",
           {{"engine", "0"}, {"finished_reason", "length"}, {"model_name", "touchstone-tiny"}}}),
      4);
  EXPECT_GT(last.exemplars, 0);
  EXPECT_EQ(last.resource.at("service.name"), "vllm-inference");
  EXPECT_TRUE(last.resource.contains("service.instance.id"));
  for (const auto& [key, start] : pushes.front().starts_s) {
    const auto later = last.starts_s.find(key);
    ASSERT_NE(later, last.starts_s.end()) << key.first;
    EXPECT_EQ(later->second, start) << key.first;
  }
  const auto created = page->value("vllm:prompt_tokens_created");
  ASSERT_TRUE(created);
  const Labels base = {{"engine", "0"}, {"model_name", "touchstone-tiny"}};
  EXPECT_NEAR(last.starts_s.at({"vllm:prompt_tokens_total", base}), *created, 1e-3);
  EXPECT_NEAR(last.starts_s.at({"vllm:e2e_request_latency_seconds", base}), *created, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Transports, MetricsPush,
                         ::testing::Values(PushedOver{"grpc", ""},
                                           PushedOver{"http", "http/protobuf"},
                                           PushedOver{"json", "http/json"}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace touchstone::end_to_end
