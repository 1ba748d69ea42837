// Whose requests they are, what they cost, and what of their content leaves the server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "telemetry/otlp/json.h"
#include "tests/support/paths.h"
#include "tests/support/recording_receiver.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using Headers = std::vector<std::pair<std::string, std::string>>;
using ::testing::HasSubstr;
using ::testing::Not;

ServerProcessOptions options(std::vector<std::string> flags) {
  ServerProcessOptions made{.model = capture_model(), .flags = std::move(flags), .environment = {}};
  made.flags.insert(made.flags.end(), {"--served-model-name", "tiny"});
  return made;
}

HttpAnswer post(ServerProcess& server, const std::string& path, const json& body,
                const Headers& more = {}) {
  Headers headers = {{"content-type", "application/json"}};
  headers.insert(headers.end(), more.begin(), more.end());
  HttpClient client = server.connect();
  EXPECT_TRUE(client.send(request_text("POST", path, body.dump(), headers)));
  return client.read_answer();
}

std::string get(ServerProcess& server, const std::string& path) {
  HttpClient client = server.connect();
  EXPECT_TRUE(client.send(request_text("GET", path, "")));
  return client.read_answer().body;
}

TEST(Accounts, AnswersAndMetricsSayWhatWasUsedByWhomAndForHowMuch) {
  const auto folder = TemporaryDirectory::make("accounts");
  ASSERT_TRUE(folder);
  const std::string prices = folder->path() + "/prices.yaml";
  const std::string keys = folder->path() + "/keys.yaml";
  ASSERT_TRUE(write_file_atomic(prices, "per: 1k\ndefault: {input: 0.5, output: 2}\n"));
  ASSERT_TRUE(write_file_atomic(keys, "tenants:\n  acme: {api_keys: [sk-acme]}\n"));
  ServerProcess server(options({"--usage-extensions", "--price-table", prices, "--api-key-table",
                                keys, "--tenant-from", "api-key"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  EXPECT_EQ(get(server, "/health"), R"({"status":"ok"})");
  const json body = {
      {"model", "tiny"}, {"prompt", "To be"}, {"max_tokens", 3}, {"ignore_eos", true}};
  EXPECT_EQ(post(server, "/v1/completions", body, {{"authorization", "Bearer x"}}).status, 401);
  const Headers key = {{"authorization", "Bearer sk-acme"}};
  const json answer = json::parse(post(server, "/v1/completions", body, key).body);
  const int64_t prompt_tokens = answer.at("usage").at("prompt_tokens");
  EXPECT_EQ(answer.at("text"), answer.at("choices")[0].at("text"));
  EXPECT_EQ(answer.at("prompt_tokens"), prompt_tokens);
  EXPECT_EQ(answer.at("completion_tokens"), 3);
  const double cost = static_cast<double>(prompt_tokens * 5 + 3 * 20) / 10'000;
  EXPECT_EQ(answer.at("estimated_cost_usd"), cost);
  EXPECT_EQ(answer.at("trace_id").get<std::string>().size(), 32u);
  const std::map<std::string, std::string> acme = {{"model_name", "tiny"}, {"tenant", "acme"}};
  EXPECT_EQ(server.metric("llm_total_tokens_total", acme), prompt_tokens + 3);
  EXPECT_EQ(server.metric("llm_estimated_cost_usd_total", acme), cost);
}

TEST(Accounts, ATenantBeyondItsLimitGetsA429ThatSaysWhenAndIsOnTheRecord) {
  const auto folder = TemporaryDirectory::make("limits");
  ASSERT_TRUE(folder);
  const std::string limits = folder->path() + "/limits.yaml";
  ASSERT_TRUE(write_file_atomic(limits, "tenants: {acme: {requests_per_minute: 1}}\n"));
  const auto receiver = RecordingReceiver::start();
  ASSERT_TRUE(receiver);
  ServerProcess server(options({"--rate-limits", limits, "--tenant-from", "user", "--span-dialect",
                                "audit", "--otlp-traces-endpoint", (*receiver)->endpoint()}));
  ASSERT_TRUE(server.ready()) << server.problem();
  json body = {{"model", "tiny"}, {"prompt", "To be"}, {"max_tokens", 3}, {"user", "acme"}};
  EXPECT_EQ(post(server, "/v1/completions", body).status, 200);
  const HttpAnswer refused = post(server, "/v1/completions", body);
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("Rate limit of requests reached"));
  EXPECT_GT(std::stoi(refused.header("retry-after")), 50);
  body["user"] = "zeta";
  EXPECT_EQ(post(server, "/v1/completions", body).status, 200);
  EXPECT_EQ(server.metric("llm_rate_limited_requests_total",
                          {{"model_name", "tiny"}, {"tenant", "acme"}}),
            1);
  EXPECT_EQ(server.stop(), 0);
  const std::string spans = telemetry::encode_otlp_json((*receiver)->received());
  EXPECT_THAT(spans, HasSubstr("rate_limit.applied"));
  EXPECT_EQ((*receiver)->spans_received(), 3);
}

/// Every span of every dialect as text, of a server that was asked with probe words everywhere.
std::string spans_of_probed_server(std::vector<std::string> flags) {
  const auto started = RecordingReceiver::start();
  if (!started) ADD_FAILURE() << started.error().message;
  const RecordingReceiver& receiver = **started;
  flags.insert(flags.end(),
               {"--otlp-traces-endpoint", receiver.endpoint(), "--span-dialect",
                "vllm-v0,audit,phases,tutorial,genai", "--request-log", "@requests.jsonl"});
  ServerProcess server(options(std::move(flags)));
  EXPECT_TRUE(server.ready()) << server.problem();
  const json system = {{"role", "system"}, {"content", "probe-system"}};
  const json user = {{"role", "user"}, {"content", "probe-question"}};
  EXPECT_EQ(post(server, "/v1/chat/completions",
                 {{"model", "tiny"},
                  {"messages", {system, user}},
                  {"max_tokens", 6},
                  {"user", "probe-user"},
                  {"stop", {"probe-stop"}}},
                 {{"x-probe", "probe-header"}})
                .status,
            200);
  EXPECT_EQ(post(server, "/v1/completions",
                 {{"model", "tiny"},
                  {"prompt", "probe-prompt"},
                  {"temperature", -1},
                  {"user", "probe-user"}})
                .status,
            400);
  EXPECT_EQ(server.stop(), 0) << server.log();
  std::string all = server.log() + *read_file(server.path("requests.jsonl"));
  all += telemetry::encode_otlp_json(receiver.received());
  EXPECT_THAT(all, HasSubstr("inference.request"));
  EXPECT_THAT(all, HasSubstr("gen_ai.provider.name"));
  return all;
}

TEST(Accounts, NothingThatWasSaidLeavesTheServerUnasked) {
  const std::string all = spans_of_probed_server({});
  EXPECT_THAT(all, Not(HasSubstr("probe-")));
}

TEST(Accounts, CapturedContentIsInTheSpansThatKnowHowAndNowhereElse) {
  const std::string all = spans_of_probed_server({"--capture-content-bytes", "20"});
  EXPECT_THAT(all, HasSubstr("probe-system"));
  EXPECT_THAT(all, HasSubstr("probe-qu"));
  EXPECT_THAT(all, Not(HasSubstr("probe-que"))) << "20 bytes of all messages together";
  for (const char* other : {"probe-user", "probe-stop", "probe-header", "probe-prompt"}) {
    EXPECT_THAT(all, Not(HasSubstr(other)));
  }
  EXPECT_THAT(all, HasSubstr("gen_ai.output.messages"));
}

}  // namespace
}  // namespace touchstone::testing
