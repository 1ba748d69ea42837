// The estimates of an answer's size against answers that are made.
#include "reference_engine/server/api/response_extent.h"

#include "tests/api/parsing.h"

namespace touchstone::server::api {
namespace {

class ResponseExtent : public Parsing {
 protected:
  /// As many entries as asked for, each of the longest numbers.
  std::vector<std::vector<sampling::TokenLogprob>> logprobs(size_t tokens, int32_t top) const {
    std::vector<std::vector<sampling::TokenLogprob>> all(tokens);
    for (auto& entries : all) {
      for (int32_t k = 0; k <= top; ++k) {
        entries.push_back({.token = k, .logprob = -12.345678F, .rank = 100'000 + k});
      }
    }
    return all;
  }

  /// The answer is below its estimate, and the estimate is of its order.
  void expect_bounded(const GenerationRequest& request, size_t tokens) {
    std::vector<PromptResult> prompts(request.prompts.size());
    std::vector<Choice> choices(request.prompts.size() * static_cast<size_t>(request.n));
    for (size_t i = 0; i < prompts.size(); ++i) {
      if (!request.prompt_logprobs) continue;
      prompts[i].logprobs = logprobs(request.prompts[i].token_ids.size(), *request.prompt_logprobs);
    }
    for (size_t i = 0; i < choices.size(); ++i) {
      choices[i].index = static_cast<int32_t>(i);
      choices[i].token_ids.assign(tokens, 5);
      choices[i].text = std::string(tokens, '\x01');
      if (request.logprobs) choices[i].logprobs = logprobs(tokens, *request.logprobs);
    }
    const auto made = static_cast<int64_t>(
        full_response(request, context_, {.id = "cmpl-0", .created = 0}, choices, prompts).size());
    const int64_t estimate =
        prompt_extent(request, context_).json_bytes + choices_json_bytes(request, choices);
    EXPECT_LE(made, estimate);
    EXPECT_GE(made * 6, estimate);
  }
};

TEST_F(ResponseExtent, IsAboveWhatAnAnswerTakesAndOfItsOrder) {
  const json prompts = {std::vector<int>(200, 5), std::vector<int>(100, 6)};
  for (const json& fields : {json{{"prompt_logprobs", 20}}, json{{"prompt_logprobs", 0}, {"n", 3}},
                             json{{"logprobs", 20}}, json{{"logprobs", 5}, {"echo", true}},
                             json{{"return_token_ids", true}}, json{{"logprobs", 1}, {"n", 2}}}) {
    json body = fields;
    body["prompt"] = prompts;
    if (body.contains("n")) body["temperature"] = 1;
    SCOPED_TRACE(fields.dump());
    expect_bounded(completion(body), 300);
  }
  expect_bounded(chat({{"logprobs", true}, {"top_logprobs", 20}, {"prompt_logprobs", 5}}), 300);
}

TEST_F(ResponseExtent, WhatIsKeptOfAPromptGrowsWithItsLogprobsAndChoices) {
  const json prompt = std::vector<int>(100, 5);
  const auto stored = [&](json fields) {
    fields["prompt"] = prompt;
    fields["temperature"] = 1;
    return prompt_extent(completion(fields), context_).stored_bytes;
  };
  EXPECT_EQ(stored({}), 0);
  const auto entries = static_cast<int64_t>(100 * 21 * sizeof(sampling::TokenLogprob));
  EXPECT_GE(stored({{"prompt_logprobs", 20}}), 2 * entries) << "a sequence hands out a copy";
  EXPECT_EQ(stored({{"prompt_logprobs", 20}, {"n", 3}}), 3 * stored({{"prompt_logprobs", 20}}));
}

}  // namespace
}  // namespace touchstone::server::api
