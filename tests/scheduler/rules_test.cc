// One test a rule of vLLM V1's scheduler (0.32: v1/core/sched/scheduler.py, v1/core/sched/utils.py,
// v1/core/kv_cache_manager.py), in the smallest situation that shows it.
#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/policies.h"
#include "reference_engine/scheduler/scheduler.h"
#include "tests/scheduler/driver.h"

namespace touchstone::scheduler {
namespace {

TEST(Rules, RunningRequestsComeFirstAndPromptsShareWhatIsLeftOfTheBudget) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(unshared(1, 10, 5)));
  ASSERT_TRUE(d.scheduler.add(unshared(2, 10, 5)));
  d.step();
  EXPECT_EQ(d.shares(), "1:0+10* 2:0+6");
  d.step();
  EXPECT_EQ(d.shares(), "1:10+1* 2:6+4*");
  d.step();
  EXPECT_EQ(d.shares(), "1:11+1* 2:10+1*");
}

TEST(Rules, WithoutChunkedPrefillAPromptWaitsForAWholeBudget) {
  Config config = small_config();
  config.enable_chunked_prefill = false;
  config.max_num_batched_tokens = 40;
  config.num_blocks = 31;
  Driver d(config);
  for (RequestId id = 1; id <= 3; ++id)
    ASSERT_TRUE(d.scheduler.add(unshared(id, id == 2 ? 30 : 11, 9)));
  d.step();
  EXPECT_EQ(d.shares(), "1:0+11*") << "2 does not fit beside 1, and 3 may not overtake it";
  d.step();
  EXPECT_EQ(d.shares(), "1:11+1* 2:0+30*");
}

TEST(Rules, ALongPrefillIsCutAtTheThreshold) {
  Config config = small_config();
  config.long_prefill_token_threshold = 3;
  Driver d(config);
  ASSERT_TRUE(d.scheduler.add(unshared(1, 7, 2)));
  ASSERT_TRUE(d.scheduler.add(unshared(2, 2, 2)));
  d.step();
  EXPECT_EQ(d.shares(), "1:0+3 2:0+2*");
  d.step();
  EXPECT_EQ(d.shares(), "1:3+3 2:2+1*");
  d.step();
  EXPECT_EQ(d.shares(), "1:6+1*");
}

TEST(Rules, AtMostMaxNumSeqsRun) {
  Driver d(small_config());
  for (RequestId id = 1; id <= 6; ++id) ASSERT_TRUE(d.scheduler.add(unshared(id, 1, 2)));
  d.step();
  EXPECT_EQ(d.scheduler.running_ids(), (Ids{1, 2, 3, 4}));
  EXPECT_EQ(d.scheduler.waiting_ids(), (Ids{5, 6}));
}

TEST(Rules, APromptIsAdmittedOnlyWhenAllOfItFits) {
  Config config = small_config();
  config.max_num_batched_tokens = 8;
  Driver reserving(config);
  config.reserve_full_prompt = false;
  Driver eager(config);
  for (Driver* d : {&reserving, &eager}) {
    ASSERT_TRUE(d->scheduler.add(unshared(1, 20, 9)));  // five blocks
    ASSERT_TRUE(d->scheduler.add(unshared(2, 24, 9)));  // six blocks, of ten
    d->step();
    d->step();
    d->step();
  }
  EXPECT_EQ(reserving.shares(), "1:16+4*") << "five blocks are free, 2 needs six in the end";
  EXPECT_EQ(eager.shares(), "1:16+4* 2:0+4");
}

TEST(Rules, NobodyOvertakesAHeadThatDoesNotFit) {
  Config config = small_config();
  config.max_num_batched_tokens = 40;
  Driver d(config);
  ASSERT_TRUE(d.scheduler.add(unshared(1, 24, 9)));
  ASSERT_TRUE(d.scheduler.add(unshared(2, 24, 9)));
  ASSERT_TRUE(d.scheduler.add(unshared(3, 1, 9)));
  d.step();
  EXPECT_EQ(d.scheduler.running_ids(), (Ids{1}));
  EXPECT_EQ(d.scheduler.waiting_ids(), (Ids{2, 3}));
}

TEST(Rules, TheWatermarkHoldsOnlyWhileSomethingRuns) {
  Config config = small_config();
  config.watermark_blocks = 5;
  Driver d(config);
  ASSERT_TRUE(d.scheduler.add(unshared(1, 16, 2)));  // four of ten blocks: leaves six
  ASSERT_TRUE(d.scheduler.add(unshared(2, 8, 2)));   // two more would leave four
  d.step();
  EXPECT_EQ(d.scheduler.running_ids(), (Ids{1}));
  Driver alone(config);
  ASSERT_TRUE(alone.scheduler.add(unshared(1, 39, 1)));
  alone.step();
  EXPECT_EQ(alone.scheduler.running_ids(), (Ids{1})) << "leaves none, but nothing else runs";
}

TEST(Rules, UnderFcfsTheLastOfTheRunningGivesWayAndWaitsInFront) {
  Config config = small_config();
  config.max_num_batched_tokens = 40;
  config.enable_prefix_caching = false;
  Driver d(config);
  ASSERT_TRUE(d.scheduler.add(unshared(1, 16, 20)));  // four blocks
  ASSERT_TRUE(d.scheduler.add(unshared(2, 16, 20)));
  ASSERT_TRUE(d.scheduler.add(unshared(3, 7, 20)));  // two: the pool is full
  ASSERT_TRUE(d.scheduler.add(unshared(4, 1, 20)));
  d.step();
  EXPECT_EQ(d.scheduler.state().free_blocks, 0);
  d.step();
  EXPECT_EQ(d.last.preempted, (Ids{3})) << "1 needs a fifth block";
  EXPECT_EQ(d.shares(), "1:16+1* 2:16+1*")
      << "the two blocks of 3 serve 1 and 2; 4 is not admitted";
  EXPECT_EQ(d.scheduler.waiting_ids(), (Ids{3, 4}));
  EXPECT_EQ(d.scheduler.counters().preemptions, 1);
}

TEST(Rules, NobodyIsAdmittedInAStepWithAPreemption) {
  Config config = small_config();
  config.max_num_batched_tokens = 40;
  config.enable_prefix_caching = false;
  Driver d(config);
  ASSERT_TRUE(d.scheduler.add(unshared(1, 16, 20)));
  ASSERT_TRUE(d.scheduler.add(unshared(2, 24, 20)));  // six blocks: the pool is full
  ASSERT_TRUE(d.scheduler.add(unshared(3, 1, 20)));
  d.step();
  d.step();
  EXPECT_EQ(d.last.preempted, (Ids{2}));
  EXPECT_EQ(d.shares(), "1:16+1*") << "five blocks are free and 3 needs one";
  d.step();
  EXPECT_EQ(d.shares(), "1:17+1*") << "2 has 25 tokens now, seven blocks of five; 3 is behind it";
}

TEST(Rules, APreemptedRequestIsComputedAgainWithItsOutput) {
  Config config = small_config();
  config.max_num_batched_tokens = 40;
  config.enable_prefix_caching = false;
  Driver d(config);
  ASSERT_TRUE(d.scheduler.add(unshared(1, 16, 2)));
  ASSERT_TRUE(d.scheduler.add(unshared(2, 24, 3)));
  d.step();  // one output token each
  d.step();  // preempts 2, finishes 1
  d.step();
  EXPECT_EQ(d.shares(), "2:0+25*");
  EXPECT_TRUE(d.last.scheduled[0].resumed);
  EXPECT_FALSE(d.last.scheduled[0].first_schedule);
}

TEST(Rules, UnderPriorityTheLeastImportantGivesWayAndItsTokensGoBackToTheBudget) {
  Config config = small_config();
  config.policy = Policy::kPriority;
  config.max_num_batched_tokens = 17;
  config.enable_prefix_caching = false;
  Driver d(config);
  NewRequest low = unshared(1, 16, 20);
  low.priority = 9;
  ASSERT_TRUE(d.scheduler.add(low));
  d.step();
  NewRequest mid = unshared(2, 12, 20);
  mid.priority = 5;
  ASSERT_TRUE(d.scheduler.add(mid));
  d.step();  // 1 takes its fifth block, 2 three
  NewRequest high = unshared(3, 8, 20);
  high.priority = 1;
  ASSERT_TRUE(d.scheduler.add(high));
  d.step();  // 2 takes its fourth block; one free block is not enough for 3
  EXPECT_EQ(d.scheduler.running_ids(), (Ids{1, 2}));
  d.step();
  d.step();
  EXPECT_EQ(d.shares(), "1:19+1* 2:14+1*");
  d.step();  // 1 takes the tenth block for its 21st token
  EXPECT_EQ(d.scheduler.state().free_blocks, 0);
  d.step();  // 2 needs a block for its 17th: 1, planned before it, gives way
  EXPECT_EQ(d.last.preempted, (Ids{1}));
  EXPECT_EQ(d.shares(), "2:16+1*");
  EXPECT_EQ(d.last.total_tokens, 1);
  EXPECT_EQ(d.scheduler.waiting_ids(), (Ids{3, 1}));
}

TEST(Rules, BlocksThatAPreemptedPlanWouldHaveFilledAreNotFound) {
  Config config = small_config();
  config.policy = Policy::kPriority;
  config.num_blocks = 13;
  config.max_num_batched_tokens = 40;
  config.long_prefill_token_threshold = 8;
  Driver d(config);
  NewRequest low = unshared(1, 30, 5);
  low.priority = 9;
  ASSERT_TRUE(d.scheduler.add(low));
  d.step();
  ASSERT_TRUE(d.scheduler.add(unshared(2, 20, 1)));
  d.step();
  d.step();
  EXPECT_EQ(d.shares(), "1:16+8 2:8+8");
  d.step();  // 1 would fill its seventh block, but 2 takes its share away and finishes
  EXPECT_EQ(d.last.preempted, (Ids{1}));
  EXPECT_EQ(d.shares(), "2:16+4*");
  d.step();
  EXPECT_EQ(d.shares(), "1:24+6*") << "tokens 24 to 27 were planned, never computed";
}

TEST(Rules, AStepThatOnlyPreemptsIsFollowedByOneThatWorks) {
  Config config = small_config();
  config.policy = Policy::kPriority;
  config.max_num_batched_tokens = 40;
  config.enable_prefix_caching = false;
  Driver d(config);
  NewRequest low = unshared(1, 20, 20);
  low.priority = 9;
  ASSERT_TRUE(d.scheduler.add(low));
  ASSERT_TRUE(d.scheduler.add(unshared(2, 19, 20)));
  d.step();
  ASSERT_EQ(d.scheduler.state().free_blocks, 0);
  ASSERT_EQ(d.scheduler.running_ids(), (Ids{2, 1})) << "admitted by priority";
  d.step();  // 2 fills its last block; 1 needs a sixth: it is its own victim
  EXPECT_EQ(d.last.preempted, (Ids{1}));
  EXPECT_EQ(d.shares(), "2:19+1*");
}

TEST(Rules, TheWaitingAreSortedByPriorityThenArrivalThenId) {
  Config config = small_config();
  config.policy = Policy::kPriority;
  Driver d(config);
  for (const auto& [id, priority, arrival] :
       {std::tuple{1, 1, 5}, std::tuple{2, 0, 9}, std::tuple{3, 1, 4}, std::tuple{4, 0, 9}}) {
    NewRequest r = unshared(static_cast<RequestId>(id), 1, 1);
    r.priority = priority;
    r.arrival_ns = arrival;
    ASSERT_TRUE(d.scheduler.add(r));
  }
  EXPECT_EQ(d.scheduler.waiting_ids(), (Ids{2, 4, 3, 1}));
  EXPECT_TRUE(d.scheduler.abort(4));
  EXPECT_EQ(d.scheduler.waiting_ids(), (Ids{2, 3, 1}));
}

TEST(Rules, AnAbortFreesBlocksAtOnceInEveryState) {
  Config config = small_config();
  config.max_num_seqs = 1;
  Driver d(config);
  ASSERT_TRUE(d.scheduler.add(unshared(1, 9, 5)));
  ASSERT_TRUE(d.scheduler.add(unshared(2, 9, 5)));
  EXPECT_TRUE(d.scheduler.abort(2)) << "waiting";
  d.scheduler.schedule();
  EXPECT_TRUE(d.scheduler.abort(1)) << "in a plan";
  EXPECT_EQ(d.scheduler.state().free_blocks, 10);
  EXPECT_TRUE(d.scheduler.complete({}).empty());
  EXPECT_FALSE(d.scheduler.abort(1));
  EXPECT_FALSE(d.scheduler.has_requests());
  EXPECT_TRUE(d.scheduler.schedule().scheduled.empty());
}

TEST(Rules, BlockHashesAreThoseOfFullBlocksToTheLastToken) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 18, 2, 0)));
  EXPECT_EQ(d.scheduler.block_hashes(1).size(), 4u) << "16 of 18 tokens, none computed yet";
  d.step();  // the first 16
  d.step();
  EXPECT_EQ(d.scheduler.block_hashes(1).size(), 4u) << "16 of 19 tokens";
  d.scheduler.schedule();
  const SampledToken last{.id = 1, .token = 7};
  const auto finished = d.scheduler.complete({&last, 1});
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished[0].block_hashes.size(), 5u) << "the last token fills a block";
}

struct FinishRow {
  const char* name;
  int32_t min_tokens;
  int32_t max_tokens;
  bool ignore_eos;
  std::vector<TokenId> sampled;
  size_t finishes_after;  // tokens; 0: not within `sampled`
  FinishReason reason;
  std::optional<TokenId> stop_token;
};

TEST(Rules, FinishingTestsComeInVllmsOrder) {
  constexpr TokenId kEos = 2;
  constexpr TokenId kStop = 3;
  const FinishRow rows[] = {
      {"eos", 0, 5, false, {9, 2}, 2, FinishReason::kStop, std::nullopt},
      {"eos ignored", 0, 3, true, {2, 2, 2}, 3, FinishReason::kLength, std::nullopt},
      {"stop token", 0, 5, false, {3}, 1, FinishReason::kStop, kStop},
      {"stop token with eos ignored", 0, 5, true, {3}, 1, FinishReason::kStop, kStop},
      {"length", 0, 2, false, {9, 9}, 2, FinishReason::kLength, std::nullopt},
      {"stop wins over length", 0, 1, false, {2}, 1, FinishReason::kStop, std::nullopt},
      {"min_tokens hides eos", 2, 5, false, {2, 2}, 2, FinishReason::kStop, std::nullopt},
      {"min_tokens hides length", 3, 1, false, {9, 9, 9}, 3, FinishReason::kLength, std::nullopt},
      {"goes on", 0, 5, false, {9, 9}, 0, FinishReason::kStop, std::nullopt},
  };
  for (const FinishRow& row : rows) {
    Driver d(small_config());
    NewRequest r = unshared(1, 3, row.max_tokens);
    r.min_tokens = row.min_tokens;
    r.ignore_eos = row.ignore_eos;
    r.eos_token_ids = {kEos};
    r.stop_token_ids = {kStop};
    ASSERT_TRUE(d.scheduler.add(r));
    size_t finished_after = 0;
    for (size_t i = 0; i < row.sampled.size() && finished_after == 0; ++i) {
      const auto finished = d.step(row.sampled[i]);
      if (finished.empty()) continue;
      finished_after = i + 1;
      EXPECT_EQ(finished[0].reason, row.reason) << row.name;
      EXPECT_EQ(finished[0].stop_token, row.stop_token) << row.name;
    }
    EXPECT_EQ(finished_after, row.finishes_after) << row.name;
  }
}

TEST(Rules, AStopStringEndsWithStop) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(unshared(1, 3, 1)));
  d.scheduler.schedule();
  const SampledToken sampled{1, 9, true};
  const auto finished = d.scheduler.complete({&sampled, 1});
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished[0].reason, FinishReason::kStop);
}

TEST(Rules, ASequenceEndsAtTheModelLength) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(unshared(1, 38, 100)));
  int steps = 0;
  std::vector<FinishedRequest> finished;
  while (finished.empty()) {
    finished = d.step();
    ASSERT_LT(++steps, 10);
  }
  EXPECT_EQ(finished[0].reason, FinishReason::kLength);
  EXPECT_EQ(d.shares(), "1:38+1*") << "39 computed, 40 tokens";
}

TEST(Rules, BadConfigurationsAreRefusedByName) {
  struct Row {
    const char* field;
    void (*spoil)(Config&);
  };
  const Row rows[] = {
      {"num_blocks: got 0", [](Config& c) { c.num_blocks = 0; }},
      {"num_blocks: got 1", [](Config& c) { c.num_blocks = 1; }},
      {"num_blocks: got 10, expected at least 11", [](Config& c) { c.num_blocks = 10; }},
      {"block_size: got 0", [](Config& c) { c.block_size = 0; }},
      {"max_num_seqs: got 0", [](Config& c) { c.max_num_seqs = 0; }},
      {"max_model_len: got 1", [](Config& c) { c.max_model_len = 1; }},
      {"max_num_batched_tokens: got 3", [](Config& c) { c.max_num_batched_tokens = 3; }},
      {"max_num_batched_tokens: got 16", [](Config& c) { c.enable_chunked_prefill = false; }},
      {"sliding_window: got -1", [](Config& c) { c.sliding_window = -1; }},
      {"max_loras: got 0", [](Config& c) { c.max_loras = 0; }},
      {"long_prefill_token_threshold: got -1",
       [](Config& c) { c.long_prefill_token_threshold = -1; }},
      {"watermark_blocks: got 11", [](Config& c) { c.watermark_blocks = 11; }},
  };
  EXPECT_TRUE(validate(small_config()).has_value());
  for (const Row& row : rows) {
    Config config = small_config();
    row.spoil(config);
    const Status status = validate(config);
    ASSERT_FALSE(status.has_value()) << row.field;
    EXPECT_EQ(status.error().message.find(row.field), 0u) << status.error().message;
  }
}

TEST(Rules, PoliciesAreKnownByTheirNames) {
  for (const PolicyRow& row : policies()) EXPECT_EQ(parse_policy(row.name), row.policy);
  EXPECT_FALSE(parse_policy("FCFS"));
}

TEST(Rules, ARequestThatCouldNeverRunIsRefusedAndCostsNothingElse) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(unshared(1, 3, 2)));
  struct Row {
    const char* message;
    void (*spoil)(NewRequest&);
  };
  const Row rows[] = {
      {"request 2: prompt tokens: got 40, expected 1 to",
       [](NewRequest& r) { r = unshared(2, 40, 2); }},
      {"request 2: prompt tokens: got 0", [](NewRequest& r) { r.num_prompt_tokens = 0; }},
      {"request 2: max_tokens: got 0", [](NewRequest& r) { r.max_tokens = 0; }},
      {"request 2: min_tokens: got 11, expected at most 10",
       [](NewRequest& r) { r.min_tokens = 11; }},
      {"request 2: adapter: got -1", [](NewRequest& r) { r.adapter = -1; }},
      {"request 2: unhashed_tail: got 30",
       [](NewRequest& r) {
         r.block_hashes.clear();
         r.unhashed_tail = tokens(30, 0);
       }},
      {"request 1: got its id twice", [](NewRequest& r) { r.id = 1; }},
  };
  for (const Row& row : rows) {
    NewRequest r = unshared(2, 30, 2);
    row.spoil(r);
    const Status added = d.scheduler.add(r);
    ASSERT_FALSE(added) << row.message;
    EXPECT_EQ(added.error().message.find(row.message), 0u) << added.error().message;
  }
  EXPECT_EQ(d.scheduler.waiting_ids(), (Ids{1}));
  d.step();
  EXPECT_EQ(d.shares(), "1:0+3*");
}

TEST(RulesDeathTest, MisuseEndsTheProgram) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(unshared(1, 3, 2)));
  d.scheduler.schedule();
  EXPECT_DEATH(d.scheduler.schedule(), "complete\\(\\) must follow");
  EXPECT_DEATH(d.scheduler.complete({}), "is not that of request 1");
}

}  // namespace
}  // namespace touchstone::scheduler
