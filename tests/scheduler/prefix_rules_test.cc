// What the prefix cache gives and keeps, request by request.
#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/policies.h"
#include "reference_engine/scheduler/scheduler.h"
#include "tests/scheduler/driver.h"

namespace touchstone::scheduler {
namespace {

TEST(Rules, APrefixHitSkipsFullBlocksOnly) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 10, 1, 0)));
  d.step();  // finishes: blocks 0-3 and 4-7 stay cached, 8-9 is partial
  EXPECT_EQ(d.scheduler.state().cached_blocks, 2);
  ASSERT_TRUE(d.scheduler.add(request(2, 11, 2, 0)));
  d.step();
  EXPECT_EQ(d.shares(), "2:8+3*");
  EXPECT_EQ(d.last.scheduled[0].num_cached_tokens, 8);
  EXPECT_EQ(d.scheduler.counters().prefix_cache_queries, 21);
  EXPECT_EQ(d.scheduler.counters().prefix_cache_hits, 8);
}

TEST(Rules, AFullyCachedPromptComputesItsLastBlockAgain) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 8, 1, 0)));
  d.step();
  ASSERT_TRUE(d.scheduler.add(request(2, 8, 1, 0)));
  d.step();
  EXPECT_EQ(d.shares(), "2:4+4*");
}

TEST(Rules, TwoAdmittedInOneStepShareWhatThatStepComputes) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 9, 4, 0)));
  ASSERT_TRUE(d.scheduler.add(request(2, 10, 4, 0)));
  d.step();
  EXPECT_EQ(d.shares(), "1:0+9* 2:8+2*");
  EXPECT_EQ(d.scheduler.state().free_blocks, 6) << "two shared, one each";
}

TEST(Rules, BlocksFilledByDecodingAreFoundToo) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 6, 4, 0)));
  for (int i = 0; i < 4; ++i) d.step(6);  // outputs 6 6 6 6; the last one is never computed
  EXPECT_EQ(d.scheduler.state().cached_blocks, 2);
  NewRequest next{.id = 2, .max_tokens = 1};
  set_prompt(next, {}, std::vector<TokenId>{0, 1, 2, 3, 4, 5, 6, 6, 6, 6}, 4);
  ASSERT_TRUE(d.scheduler.add(next));
  d.step();
  EXPECT_EQ(d.shares(), "2:8+2*");
}

TEST(Rules, AChainKnownInAdvanceNeedsNoTokens) {
  Driver d(small_config());
  const auto chain = hash_blocks({}, tokens(12, 0), 4);
  ASSERT_TRUE(
      d.scheduler.add({.id = 1, .num_prompt_tokens = 6, .max_tokens = 6, .block_hashes = chain}));
  for (int i = 0; i < 6; ++i) d.step();
  EXPECT_EQ(d.scheduler.state().cached_blocks, 2) << "11 of 12 tokens were computed";
  ASSERT_TRUE(
      d.scheduler.add({.id = 2, .num_prompt_tokens = 12, .max_tokens = 1, .block_hashes = chain}));
  d.step();
  EXPECT_EQ(d.shares(), "2:8+4*");
}

TEST(Rules, ARequestWithoutHashesSharesNothing) {
  Driver d(small_config());
  for (RequestId id = 1; id <= 2; ++id) {
    ASSERT_TRUE(d.scheduler.add({.id = id, .num_prompt_tokens = 9, .max_tokens = 9}));
    for (int i = 0; i < 9; ++i) d.step();
  }
  EXPECT_EQ(d.scheduler.state().cached_blocks, 0);
  EXPECT_EQ(d.scheduler.counters().prefix_cache_hits, 0);
}

TEST(Rules, APoolWithoutCachingCountsNothing) {
  Config config = small_config();
  config.enable_prefix_caching = false;
  Driver d(config);
  ASSERT_TRUE(d.scheduler.add(request(1, 8, 1, 0)));
  d.step();
  ASSERT_TRUE(d.scheduler.add(request(2, 9, 1, 0)));
  d.step();
  EXPECT_EQ(d.shares(), "2:0+9*");
  EXPECT_EQ(d.scheduler.state().cached_blocks, 0);
  EXPECT_EQ(d.scheduler.counters().prefix_cache_queries, 0);
}

TEST(Rules, ARequestMayRefuseToReadTheCache) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 8, 1, 0)));
  d.step();
  NewRequest reader = request(2, 9, 1, 0);
  reader.skip_reading_prefix_cache = true;
  ASSERT_TRUE(d.scheduler.add(reader));
  d.step();
  EXPECT_EQ(d.shares(), "2:0+9*");
  EXPECT_EQ(d.scheduler.counters().prefix_cache_queries, 8);
}

TEST(Rules, AResetForgetsEveryPrefixUnlessSomebodyHoldsBlocks) {
  using enum Scheduler::Running;
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 8, 1, 0)));
  d.step();
  EXPECT_EQ(d.scheduler.state().cached_blocks, 2);
  ASSERT_TRUE(d.scheduler.add(request(2, 5, 20, 100)));
  d.step();
  EXPECT_FALSE(d.scheduler.reset_prefix_cache(kKeep));
  EXPECT_EQ(d.scheduler.state().cached_blocks, 2) << "as it was";
  ASSERT_TRUE(d.scheduler.abort(2));
  EXPECT_TRUE(d.scheduler.reset_prefix_cache(kKeep));
  d.scheduler.check_invariants();
  EXPECT_EQ(d.scheduler.state().cached_blocks, 0);
  EXPECT_EQ(d.scheduler.state().free_blocks, 10);
  ASSERT_TRUE(d.scheduler.add(request(3, 9, 1, 0)));
  d.step();
  EXPECT_EQ(d.shares(), "3:0+9*");
}

TEST(Rules, AResetThatPreemptsComputesWhatRanAgainInItsOrder) {
  Driver d(small_config());
  for (RequestId id = 1; id <= 3; ++id) ASSERT_TRUE(d.scheduler.add(unshared(id, 5, 6)));
  d.step();
  d.step();
  EXPECT_TRUE(d.scheduler.reset_prefix_cache(Scheduler::Running::kPreempt));
  d.scheduler.check_invariants();
  EXPECT_EQ(d.scheduler.waiting_ids(), (Ids{1, 2, 3}));
  EXPECT_EQ(d.scheduler.counters().preemptions, 3);
  d.step();
  EXPECT_EQ(d.shares(), "1:0+7* 2:0+7* 3:0+2");
  EXPECT_EQ(d.last.preempted, (Ids{3, 2, 1}));
}

TEST(Rules, TheTailOfASequenceIsEvictedBeforeItsHead) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 12, 1, 0)));
  d.step();  // three cached blocks behind seven blank ones
  ASSERT_TRUE(d.scheduler.add(unshared(2, 29, 1)));
  d.step();
  d.step();  // eight blocks: the seven blank ones and the tail of 1
  ASSERT_TRUE(d.scheduler.add(request(3, 13, 1, 0)));
  d.step();
  EXPECT_EQ(d.last.scheduled[0].num_cached_tokens, 8);
}

TEST(Rules, HitBlocksAreTakenBeforeNewOnesCanEvictThem) {
  Driver d(small_config());
  ASSERT_TRUE(d.scheduler.add(request(1, 8, 1, 0)));
  d.step();
  ASSERT_TRUE(
      d.scheduler.add(unshared(2, 32, 20)));  // eight blocks: only the two cached ones are free
  d.step();
  d.step();
  ASSERT_EQ(d.scheduler.state().free_blocks, 2);
  ASSERT_EQ(d.scheduler.state().cached_blocks, 2);
  d.scheduler.abort(2);
  ASSERT_TRUE(d.scheduler.add(request(3, 33, 1, 0)));
  d.step();
  EXPECT_EQ(d.last.scheduled[0].num_cached_tokens, 8);
}

}  // namespace
}  // namespace touchstone::scheduler
