// Structured output, tools, and the other fields that bind an answer, over the real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Structured : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ServerProcessOptions options{
        .model = capture_model(),
        .flags = {"--served-model-name", "tiny", "--enable-auto-tool-choice", "--tool-call-parser",
                  "hermes"},
        .environment = {}};
    if (GetParam()) options.flags.emplace_back("--async-scheduling");
    server_ = std::make_unique<ServerProcess>(options);
    ASSERT_TRUE(server_->ready()) << server_->problem();
    const HttpAnswer probe = post({{"structured_outputs", {{"regex", "a"}}}});
    if (probe.status == 501) GTEST_SKIP() << probe.body;
  }
  HttpAnswer post(json body) {
    body["prompt"] = "To be, or not to be";
    if (!body.contains("max_tokens")) body["max_tokens"] = 120;
    return server_->connect().post("/v1/completions", body.dump());
  }
  std::string text(json body) {
    const HttpAnswer answer = post(std::move(body));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body)["choices"][0]["text"];
  }
  json chat(json body) {
    body["messages"] = {{{"role", "user"}, {"content", "Weather?"}}};
    body["max_tokens"] = 120;
    const HttpAnswer answer = server_->connect().post("/v1/chat/completions", body.dump());
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body)["choices"][0];
  }

  std::unique_ptr<ServerProcess> server_;
};

TEST_P(Structured, EveryAnswerIsWhatWasAskedFor) {
  for (int seed = 0; seed < 4; ++seed) {
    EXPECT_THAT(text({{"structured_outputs", {{"choice", {"yes", "no"}}}}, {"seed", seed}}),
                ::testing::AnyOf("yes", "no"));
    EXPECT_THAT(text({{"structured_outputs", {{"regex", "[0-9]{3}-[a-f]{2}"}}}, {"seed", seed}}),
                ::testing::MatchesRegex("[0-9][0-9][0-9]-[a-f][a-f]"));
    const json schema = {{"type", "object"},
                         {"properties",
                          {{"n", {{"type", "integer"}, {"minimum", 1}, {"maximum", 99}}},
                           {"ok", {{"type", "boolean"}}}}},
                         {"required", {"n", "ok"}},
                         {"additionalProperties", false}};
    const std::string said =
        text({{"response_format",
               {{"type", "json_schema"}, {"json_schema", {{"name", "s"}, {"schema", schema}}}}},
              {"seed", seed}});
    const json tree = json::parse(said, nullptr, false);
    ASSERT_TRUE(tree.is_object()) << said;
    EXPECT_TRUE(tree["n"].is_number_integer() && tree["ok"].is_boolean()) << said;
  }
}

TEST_P(Structured, ManyAtOnceAndWithFreeOnesGiveWhatEachGivesAlone) {
  const json bound = {{"structured_outputs", {{"regex", "[a-z ]{40}"}}}, {"temperature", 0}};
  const json free = {{"temperature", 0}, {"max_tokens", 30}, {"ignore_eos", true}};
  const std::string bound_alone = text(bound);
  const std::string free_alone = text(free);
  std::vector<std::string> said(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < said.size(); ++i) {
    threads.emplace_back([&, i] { said[i] = text(i % 2 == 0 ? bound : free); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < said.size(); ++i) {
    EXPECT_EQ(said[i], i % 2 == 0 ? bound_alone : free_alone) << i;
  }
}

TEST_P(Structured, AllowedTokensAreTheOnlyOnes) {
  const HttpAnswer answer = post({{"allowed_token_ids", {40, 41}},
                                  {"max_tokens", 12},
                                  {"ignore_eos", true},
                                  {"return_token_ids", true}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const std::vector<int> ids = json::parse(answer.body)["choices"][0]["token_ids"];
  EXPECT_EQ(ids.size(), 12u);
  for (const int id : ids) EXPECT_TRUE(id == 40 || id == 41) << id;
}

TEST_P(Structured, AToolThatMustBeCalledIs) {
  const json tools = {
      {{"type", "function"},
       {"function",
        {{"name", "weather"},
         {"parameters",
          {{"type", "object"},
           {"properties", {{"city", {{"type", "string"}, {"enum", {"Oslo", "Rome"}}}}}},
           {"required", {"city"}},
           {"additionalProperties", false}}}}}}};
  const json required =
      chat({{"tools", tools}, {"tool_choice", "required"}, {"parallel_tool_calls", false}});
  EXPECT_EQ(required["finish_reason"], "tool_calls") << required;
  const json& function = required["message"]["tool_calls"][0]["function"];
  EXPECT_EQ(function["name"], "weather");
  const json arguments = json::parse(function["arguments"].get<std::string>());
  EXPECT_THAT(arguments["city"].get<std::string>(), ::testing::AnyOf("Oslo", "Rome"));
  const json named =
      chat({{"tools", tools},
            {"tool_choice", {{"type", "function"}, {"function", {{"name", "weather"}}}}}});
  EXPECT_EQ(named["finish_reason"], "stop") << named;
  EXPECT_TRUE(
      json::parse(named["message"]["tool_calls"][0]["function"]["arguments"].get<std::string>())
          .contains("city"));
  const json free = chat({{"tools", tools}});
  EXPECT_FALSE(free["message"].contains("tool_calls")) << free;
}

TEST_P(Structured, WhatCannotBeCompiledIsRefusedStreamedOrNot) {
  for (const bool stream : {false, true}) {
    const HttpAnswer bad = post({{"structured_outputs", {{"regex", "("}}}, {"stream", stream}});
    EXPECT_EQ(bad.status, 400);
    EXPECT_THAT(bad.body, HasSubstr("Invalid grammar specification"));
    EXPECT_THAT(bad.body, HasSubstr("BadRequestError"));
  }
  const HttpAnswer dear = post({{"structured_outputs", {{"regex", "(a{1,1000}){1,1000}"}}}});
  EXPECT_EQ(dear.status, 400);
  EXPECT_THAT(dear.body, HasSubstr("repetitions within repetitions"));
  const HttpAnswer ignored =
      post({{"structured_outputs", {{"json", {{"type", "array"}, {"uniqueItems", true}}}}}});
  EXPECT_EQ(ignored.status, 400);
  EXPECT_THAT(ignored.body, HasSubstr("uniqueItems"));
}

TEST_P(Structured, EventsOfAStreamHoldAsManyTokensAsAskedFor) {
  for (const char* path : {"/v1/chat/completions", "/v1/completions"}) {
    const json body = {{"messages", {{{"role", "user"}, {"content", "Hi"}}}},
                       {"prompt", "To be"},
                       {"stream", true},
                       {"max_tokens", 21},
                       {"ignore_eos", true},
                       {"return_token_ids", true},
                       {"stream_interval", 8}};
    const HttpAnswer answer = server_->connect().post(path, body.dump());
    std::vector<size_t> sizes;
    for (const std::string& event : event_data(answer.body)) {
      if (event == "[DONE]") continue;
      const json choice = json::parse(event)["choices"][0];
      if (choice.contains("token_ids") && choice["token_ids"].is_array()) {
        sizes.push_back(choice["token_ids"].size());
      }
    }
    ASSERT_GE(sizes.size(), 3u) << answer.body;
    EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), size_t{0}), 21u) << path;
    for (size_t i = 1; i + 1 < sizes.size(); ++i) EXPECT_GE(sizes[i], 8u) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(Scheduling, Structured, ::testing::Bool(), [](const auto& each) {
  return each.param ? "Asynchronous" : "Synchronous";
});

}  // namespace
}  // namespace touchstone::testing
