// monitoring/ against the real promtool and Prometheus: TOUCHSTONE_PROMETHEUS names a folder with
// both, else PATH is asked.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/text.h"
#include "harness/process/capture.h"
#include "harness/process/ports.h"
#include "http/client.h"
#include "tests/support/paths.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;

constexpr int64_t kLong = 60 * kNsPerSecond;

std::string program(const std::string& name) {
  const char* folder = std::getenv("TOUCHSTONE_PROMETHEUS");
  return folder == nullptr ? name : std::string(folder) + "/" + name;
}

std::string monitoring(const std::string& name) {
  return support::source_dir() + "/monitoring/" + name;
}

std::string url_encoded(const std::string& text) {
  std::string result;
  for (const char c : text) {
    char hex[4];
    std::snprintf(hex, sizeof(hex), "%%%02X", static_cast<unsigned char>(c));
    result += hex;
  }
  return result;
}

class Monitoring : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto asked = harness::run_and_capture(
        {.name = "promtool", .argv = {program("promtool"), "--version"}}, supervision_, kLong);
    if (!asked) GTEST_SKIP() << "no promtool here (Debian: prometheus): " << asked.error().message;
  }
  harness::Captured promtool(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program("promtool"));
    auto ran = harness::run_and_capture({.name = "promtool", .argv = std::move(arguments)},
                                        supervision_, kLong);
    EXPECT_TRUE(ran) << ran.error().message;
    return ran ? *ran : harness::Captured{};
  }
  const RealClock clock_;
  const harness::Supervision supervision_{clock_};
};

TEST_F(Monitoring, EveryAlertFiresAndStaysSilentWhereItsTestSays) {
  const harness::Captured checked =
      promtool({"check", "rules", monitoring("alerts.yaml"), monitoring("recording.yaml")});
  EXPECT_TRUE(checked.status.good()) << checked.output << checked.errors;
  const harness::Captured tested = promtool({"test", "rules", monitoring("alerts_test.yaml")});
  EXPECT_TRUE(tested.status.good()) << tested.output << tested.errors;
}

/// The expressions of all panels, with Grafana's variables filled in.
std::vector<std::string> panel_queries() {
  const auto text = read_file(monitoring("dashboard.json"));
  EXPECT_TRUE(text);
  std::vector<std::string> queries;
  const json board = json::parse(*text);
  for (const json& panel : board.at("panels")) {
    for (const json& target : panel.at("targets")) {
      std::string query = target.at("expr");
      query = std::regex_replace(query, std::regex(R"(\$model)"), ".*");
      queries.push_back(std::regex_replace(query, std::regex(R"(\$__rate_interval)"), "1m"));
    }
  }
  return queries;
}

TEST_F(Monitoring, EveryPanelShowsSomethingOfAServedModel) {
  ServerProcess server(
      {.model = capture_model(),
       .flags = {"--served-model-name", "tiny", "--otlp-traces-endpoint", "http://127.0.0.1:1",
                 "--tenant-from", "user", "--price-table",
                 support::source_dir() + "/fixtures/prices/per-thousand-tokens.yaml"},
       .environment = {}});
  ASSERT_TRUE(server.ready()) << server.problem();
  const auto folder = TemporaryDirectory::make("prometheus");
  ASSERT_TRUE(folder);
  harness::PortReservation ports;
  const auto port = ports.take();
  ASSERT_TRUE(port);
  const std::string config = folder->path() + "/prometheus.yml";
  ASSERT_TRUE(write_file_atomic(
      config, "global: {scrape_interval: 200ms, evaluation_interval: 1s}\nrule_files: [" +
                  monitoring("alerts.yaml") + ", " + monitoring("recording.yaml") +
                  "]\nscrape_configs:\n  - job_name: llm\n    static_configs:\n      - targets: "
                  "[\"127.0.0.1:" +
                  std::to_string(server.port()) + "\"]\n"));
  const std::string address = "127.0.0.1:" + std::to_string(*port);
  const auto prometheus = harness::ChildProcess::spawn(
      {.name = "prometheus",
       .argv = {program("prometheus"), "--config.file=" + config,
                "--storage.tsdb.path=" + folder->path() + "/data",
                "--enable-feature=exemplar-storage", "--web.listen-address=" + address},
       .log_path = folder->path() + "/prometheus.log"},
      supervision_);
  ASSERT_TRUE(prometheus) << prometheus.error().message;
  const auto query = [&](const std::string& expression) {
    const auto body = http::http_get_body(
        "http://" + address + "/api/v1/query?query=" + url_encoded(expression), 5 * kNsPerSecond);
    return body ? json::parse(*body, nullptr, false) : json();
  };
  const auto rows = [&](const std::string& expression) -> size_t {
    const json answer = query(expression);
    return answer.is_object() && answer.value("status", "") == "success"
               ? answer.at("data").at("result").size()
               : 0;
  };
  const Status scraped = (*prometheus)
                             ->wait_until([&] { return rows("vllm:num_requests_running") > 0; },
                                          "the first scrape", kLong);
  ASSERT_TRUE(scraped) << scraped.error().message;
  const auto ask = [&] {
    HttpClient client = server.connect();
    const std::string body =
        R"({"model": "tiny", "prompt": "To be", "max_tokens": 8, "user": "acme"})";
    EXPECT_EQ(client.post("/v1/completions", body).status, 200);
  };
  // A series that begins has no rate: a second request must come after a scrape.
  ask();
  const Status begun = (*prometheus)
                           ->wait_until([&] { return rows("llm_estimated_cost_usd_total") > 0; },
                                        "the first cost", kLong);
  ASSERT_TRUE(begun) << begun.error().message;
  ask();
  const Status counted =
      (*prometheus)
          ->wait_until([&] { return rows("rate(llm_estimated_cost_usd_total[1m]) > 0") > 0; },
                       "rates", kLong);
  ASSERT_TRUE(counted) << counted.error().message;
  // A latency's bucket leads to the trace of a request in it.
  const std::string trace_id = "0af7651916cd43dd8448eb211c80319c";
  HttpClient traced = server.connect();
  ASSERT_TRUE(traced.send(request_text(
      "POST", "/v1/completions", R"({"model": "tiny", "prompt": "To be", "max_tokens": 2})",
      {{"content-type", "application/json"},
       {"traceparent", "00-" + trace_id + "-b7ad6b7169203331-01"}})));
  EXPECT_EQ(traced.read_answer().status, 200);
  const int64_t now_s = clock_.unix_ns() / kNsPerSecond;
  const std::string exemplars =
      "http://" + address +
      "/api/v1/query_exemplars?query=" + url_encoded("vllm:e2e_request_latency_seconds_bucket") +
      "&start=" + std::to_string(now_s - 600) + "&end=" + std::to_string(now_s + 600);
  const Status joined = (*prometheus)
                            ->wait_until(
                                [&] {
                                  const auto body =
                                      http::http_get_body(exemplars, 5 * kNsPerSecond);
                                  return body && body->find(trace_id) != std::string::npos;
                                },
                                "the exemplar", kLong);
  EXPECT_TRUE(joined) << joined.error().message;
  const std::vector<std::string> queries = panel_queries();
  EXPECT_GE(queries.size(), 15u);
  for (const std::string& expression : queries) {
    EXPECT_GT(rows(expression), 0u) << expression << ": " << query(expression);
  }
  const auto unwell = [&] {
    std::vector<std::string> names;
    const auto body = http::http_get_body("http://" + address + "/api/v1/rules", 5 * kNsPerSecond);
    const json answer = body ? json::parse(*body, nullptr, false) : json();
    if (!answer.is_object()) return std::vector<std::string>{"no answer"};
    for (const json& group : answer.at("data").at("groups")) {
      for (const json& rule : group.at("rules")) {
        if (rule.at("health") != "ok") names.push_back(rule.at("name"));
      }
    }
    return names;
  };
  const Status evaluated =
      (*prometheus)->wait_until([&] { return unwell().empty(); }, "every rule to work", kLong);
  EXPECT_TRUE(evaluated) << join(unwell(), ", ");
  for (const char* former : {"vllm:gpu_cache_usage_perc", "vllm:time_per_output_token_seconds_sum",
                             "vllm:avg_generation_throughput_toks_per_s"}) {
    const Status recorded =
        (*prometheus)->wait_until([&] { return rows(former) > 0; }, former, kLong);
    EXPECT_TRUE(recorded) << recorded.error().message;
  }
}

}  // namespace
}  // namespace touchstone::testing
