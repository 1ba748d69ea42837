// What a server in development mode serves besides: VLLM_SERVER_DEV_MODE=1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kQuestion =
    R"({"prompt":"To be, or not to be, that is the question: whether","max_tokens":2,)"
    R"("temperature":0,"ignore_eos":true})";

ServerProcessOptions options(std::map<std::string, std::string> environment) {
  return {.model = capture_model(),
          .flags = {"--block-size", "4", "--num-gpu-blocks-override", "200", "--max-model-len",
                    "512", "--enable-prompt-tokens-details"},
          .environment = std::move(environment)};
}

TEST(DevMode, OnlyThenCachesCanBeReset) {
  ServerProcess server(options({}));
  ASSERT_TRUE(server.ready()) << server.problem();
  for (const char* path : {"/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache"}) {
    EXPECT_EQ(server.connect().post(path, "").status, 404) << path;
  }
  EXPECT_EQ(server.connect().exchange("GET", "/server_info").status, 404);
}

TEST(DevMode, AResetForgetsThePrefixCacheUnlessSomebodyRuns) {
  ServerProcess server(options({{"VLLM_SERVER_DEV_MODE", "1"}}));
  ASSERT_TRUE(server.ready()) << server.problem();
  const auto cached = [&] {
    const HttpAnswer answer = server.connect().post("/v1/completions", kQuestion);
    return nlohmann::json::parse(answer.body)["usage"]["prompt_tokens_details"]["cached_tokens"]
        .get<int>();
  };
  EXPECT_EQ(cached(), 0);
  EXPECT_GT(cached(), 0);
  const auto reset = [&](const std::string& query) {
    return server.connect().post("/reset_prefix_cache" + query, "");
  };
  EXPECT_EQ(reset("").body, R"({"success":true})");
  EXPECT_EQ(cached(), 0);
  HttpClient running = server.connect();
  ASSERT_TRUE(running.send(
      request_text("POST", "/v1/completions",
                   R"({"prompt":"To be","max_tokens":480,"temperature":0,"ignore_eos":true})",
                   {{"content-type", "application/json"}})));
  ASSERT_TRUE(server.wait_for_metric("vllm:num_requests_running", 1));
  EXPECT_EQ(reset("?reset_external=true").body, R"({"success":false})");
  EXPECT_EQ(reset("?reset_running_requests=true").body, R"({"success":true})");
  EXPECT_EQ(running.read_answer().status, 200);
  EXPECT_EQ(server.metric("vllm:num_preemptions_total"), 1);
  const HttpAnswer wrong = reset("?reset_running_requests=perhaps");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_THAT(wrong.body, HasSubstr("reset_running_requests"));
  EXPECT_EQ(server.connect().post("/reset_mm_cache", "").status, 200);
  EXPECT_THAT(server.connect().exchange("GET", "/server_info").body, HasSubstr("vllm_config"));
}

TEST(OpenApi, NamesWhatIsServedAndTheFieldsOfBodies) {
  ServerProcess server(options({}));
  ASSERT_TRUE(server.ready()) << server.problem();
  const HttpAnswer answer = server.connect().exchange("GET", "/openapi.json");
  ASSERT_EQ(answer.status, 200);
  const auto document = nlohmann::json::parse(answer.body);
  const auto& paths = document["paths"];
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_FALSE(paths.contains("/reset_prefix_cache")) << "not in this mode";
  EXPECT_TRUE(paths["/ping"].contains("get") && paths["/ping"].contains("post"));
  EXPECT_EQ(paths["/v1/responses/{response_id}"]["get"]["parameters"][0]["name"], "response_id");
  const auto& fields = paths["/v1/completions"]["post"]["requestBody"]["content"]
                            ["application/json"]["schema"]["properties"];
  EXPECT_TRUE(fields.contains("prompt") && !fields.contains("messages"));
  ServerProcessOptions without = options({});
  without.flags.emplace_back("--disable-fastapi-docs");
  ServerProcess closed(without);
  EXPECT_EQ(closed.connect().exchange("GET", "/openapi.json").status, 404);
}

}  // namespace
}  // namespace touchstone::testing
