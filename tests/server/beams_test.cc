// Beam search over the real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "records/request_record.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Beams : public ::testing::Test {
 protected:
  Beams()
      : server_({.model = capture_model(),
                 .flags = {"--served-model-name", "tiny", "--dtype", "float32", "--request-log",
                           "@requests.jsonl"},
                 .environment = {}}) {}
  void SetUp() override { ASSERT_TRUE(server_.ready()) << server_.problem(); }
  HttpAnswer post(json body, const std::string& path = "/v1/completions") {
    if (path == "/v1/completions" && !body.contains("prompt")) body["prompt"] = "To be, or not";
    if (!body.contains("max_tokens")) body["max_tokens"] = 6;
    return server_.connect().post(path, body.dump());
  }
  json good(const json& body, const std::string& path = "/v1/completions") {
    const HttpAnswer answer = post(body, path);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body);
  }

  ServerProcess server_;
};

const json kSearch = {{"use_beam_search", true}, {"temperature", 0}, {"ignore_eos", true}};

TEST_F(Beams, AreOrderedByWhatTheModelSaysOfThem) {
  json body = kSearch;
  body.update({{"n", 4}, {"return_token_ids", true}, {"logprobs", 2}});
  const json answer = good(body);
  ASSERT_EQ(answer["choices"].size(), 4u);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 24);
  std::set<std::vector<int>> distinct;
  double before = 0;
  for (const json& choice : answer["choices"]) {
    const std::vector<int> said = choice["token_ids"];
    distinct.insert(said);
    EXPECT_EQ(choice["finish_reason"], "length");
    double told = 0;
    for (const json& one : choice["logprobs"]["token_logprobs"]) told += one.get<double>();
    std::vector<int> whole = choice["prompt_token_ids"];
    whole.insert(whole.end(), said.begin(), said.end());
    const json again = good({{"prompt", whole}, {"max_tokens", 1}, {"prompt_logprobs", 0}});
    double model = 0;
    const json& rows = again["choices"][0]["prompt_logprobs"];
    for (size_t i = whole.size() - said.size(); i < whole.size(); ++i) {
      model += rows[i][std::to_string(whole[i])]["logprob"].get<double>();
    }
    EXPECT_NEAR(told, model, 1e-4);
    if (before != 0) {
      EXPECT_LE(model, before + 1e-6);
    }
    before = model;
  }
  EXPECT_EQ(distinct.size(), 4u);
}

TEST_F(Beams, OneBeamIsGreedyAndChatsSearchToo) {
  json body = kSearch;
  const json alone = good(body);
  body.erase("use_beam_search");
  EXPECT_EQ(alone["choices"][0]["text"], good(body)["choices"][0]["text"]);
  body = kSearch;
  body.update({{"n", 3}, {"messages", {{{"role", "user"}, {"content", "Hello"}}}}});
  const json chat = good(body, "/v1/chat/completions");
  ASSERT_EQ(chat["choices"].size(), 3u);
  EXPECT_EQ(chat["choices"][2]["index"], 2);
  EXPECT_EQ(chat["choices"][0]["message"]["role"], "assistant");
}

TEST_F(Beams, EachTokenOfEachIsARequestOfItsOwn) {
  json body = kSearch;
  body.update({{"n", 2}, {"prompt", {"To be", "or not"}}, {"max_tokens", 3}});
  const json answer = good(body);
  EXPECT_EQ(answer["choices"].size(), 4u);
  EXPECT_EQ(server_.stop(), 0) << server_.log();
  const auto records = records::read_request_records(server_.path("requests.jsonl"));
  ASSERT_TRUE(records) << records.error().message;
  EXPECT_EQ(records->size(), 2u * (1 + 2 + 2));
  std::set<std::string> ids;
  for (const records::RequestRecord& record : *records) {
    ids.insert(record.request_id);
    EXPECT_EQ(record.completion_tokens, 1);
    EXPECT_EQ(record.n, 1);
  }
  EXPECT_EQ(ids.size(), records->size());
  EXPECT_TRUE(ids.contains(answer["id"].get<std::string>() + "-1-2-beam-1"));
}

TEST_F(Beams, WhatIsNotDoneWithThemIsRefused) {
  const auto refusal = [&](const json& more) {
    json body = kSearch;
    body.update(more);
    const HttpAnswer answer = post(body);
    EXPECT_EQ(answer.status, 400) << answer.body;
    return answer.body;
  };
  EXPECT_THAT(refusal({{"stream", true}}),
              HasSubstr("Streaming is not currently supported with beam search"));
  EXPECT_THAT(refusal({{"echo", true}, {"logprobs", 1}}), HasSubstr("with beam search because"));
  EXPECT_THAT(refusal({{"n", 11}}), HasSubstr("Requested sample logprobs of 22"));
  EXPECT_THAT(refusal({{"n", 0}}), HasSubstr("at least 1"));
  EXPECT_THAT(refusal({{"length_penalty", "x"}}), HasSubstr("length_penalty"));
  EXPECT_EQ(post({{"use_beam_search", "false"}}).status, 200) << "as clients spell it";
}

}  // namespace
}  // namespace touchstone::testing
