#include "reference_engine/server/submission_of.h"

#include <gtest/gtest.h>

#include "reference_engine/scheduler/block_hash.h"

namespace touchstone::server {
namespace {

ArrivedRequest two_prompts() {
  api::GenerationRequest request;
  request.model = "tiny";
  request.prompts.push_back({.token_ids = {1, 2, 3, 4, 5}, .text = "a", .max_tokens = 7});
  request.prompts.push_back({.token_ids = {6}, .text = "b", .max_tokens = 8});
  request.n = 3;
  request.seed = 5;
  request.stop = {"."};
  request.cache_salt = "salt";
  request.priority = -2;
  request.prompt_logprobs = 1;
  ArrivedRequest arrived;
  arrived.request = std::make_shared<const api::GenerationRequest>(std::move(request));
  arrived.response_id = "cmpl-x";
  arrived.arrival_ns = 9;
  arrived.arrival_unix_ns = 10;
  return arrived;
}

TEST(SubmissionOf, EachPromptOfACompletionIsARequestWithItsOwnId) {
  const ArrivedRequest arrived = two_prompts();
  const engine::Submission submission = submission_of(arrived, 2, nullptr);
  ASSERT_EQ(submission.prompts.size(), 2u);
  EXPECT_EQ(submission.prompts[0].request_id, "cmpl-x-0");
  EXPECT_EQ(submission.prompts[1].request_id, "cmpl-x-1");
  EXPECT_EQ(submission.prompts[1].max_tokens, 8);
  EXPECT_EQ(
      submission.prompts[0].block_hashes,
      scheduler::hash_blocks({.cache_salt = "salt"}, arrived.request->prompts[0].token_ids, 2));
  EXPECT_EQ(submission.n, 3);
  EXPECT_EQ(submission.seed, 5);
  EXPECT_EQ(submission.priority, -2);
  EXPECT_EQ(submission.sampling.prompt_logprobs, 1);
  EXPECT_EQ(submission.record.endpoint, "/v1/completions");
  EXPECT_EQ(submission.record.model, "tiny");
  EXPECT_EQ(submission.record.arrival_ns, 9);
}

TEST(SubmissionOf, ThePromptsTokensAreSharedAndOutliveTheServersHold) {
  ArrivedRequest arrived = two_prompts();
  const std::vector<int32_t>* const tokens = &arrived.request->prompts[0].token_ids;
  const engine::Submission submission = submission_of(arrived, 2, nullptr);
  arrived.request.reset();
  EXPECT_EQ(submission.prompts[0].token_ids.get(), tokens);
  EXPECT_EQ(submission.prompts[0].token_ids->at(4), 5);
}

TEST(SubmissionOf, AChatKeepsItsResponseId) {
  ArrivedRequest arrived = two_prompts();
  api::GenerationRequest chat = *arrived.request;
  chat.endpoint = api::Endpoint::kChatCompletions;
  chat.prompts.pop_back();
  arrived.request = std::make_shared<const api::GenerationRequest>(std::move(chat));
  arrived.response_id = "chatcmpl-x";
  const engine::Submission submission = submission_of(arrived, 2, nullptr);
  EXPECT_EQ(submission.prompts[0].request_id, "chatcmpl-x");
  EXPECT_EQ(submission.record.endpoint, "/v1/chat/completions");
}

}  // namespace
}  // namespace touchstone::server
