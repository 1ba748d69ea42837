#include "reference_engine/lifecycle/request_lives.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "base/random.h"
#include "reference_engine/scheduler/block_hash.h"

namespace touchstone::lifecycle {
namespace {

using records::Outcome;
using records::RequestRecord;
using scheduler::RequestId;

scheduler::Config tight_config() {
  return {.num_blocks = 13,
          .block_size = 4,
          .max_num_seqs = 4,
          .max_num_batched_tokens = 16,
          .max_model_len = 40};
}

/// A scheduler and its lives; step k runs from 100 k to 100 k + 50.
struct Driver {
  explicit Driver(const scheduler::Config& config)
      : scheduler(config),
        lives({.block_size = config.block_size, .block_hashes = true, .statistics = true}) {}

  void arrive(RequestId id, int32_t prompt, int32_t max_tokens) {
    scheduler::NewRequest request{.id = id, .max_tokens = max_tokens};
    std::vector<int32_t> tokens(static_cast<size_t>(prompt));
    std::iota(tokens.begin(), tokens.end(), static_cast<int32_t>(100 * id));
    set_prompt(request, {}, tokens, scheduler.config().block_size);
    RequestRecord record;
    record.id = id;
    record.arrival_ns = now_ns() - 7;
    record.prompt_tokens = prompt;
    lives.arrive(std::move(record), now_ns());
    ASSERT_TRUE(scheduler.add(std::move(request)));
  }

  void abort(RequestId id) {
    ended.push_back(
        lives.finish(id, {.outcome = Outcome::kAbort}, now_ns(), scheduler.block_hashes(id)));
    scheduler.abort(id);
  }

  /// False when nothing can run.
  bool step() {
    const scheduler::StepPlan& plan = scheduler.schedule();
    if (plan.scheduled.empty()) return false;
    lives.planned(plan, now_ns());
    std::vector<scheduler::SampledToken> sampled;
    for (const auto& share : plan.scheduled) {
      if (share.samples_token) sampled.push_back({.id = share.id, .token = 7});
    }
    const auto finished = scheduler.complete(sampled);
    lives.computed(plan, now_ns() + 50);
    for (const auto& f : finished) {
      ended.push_back(
          lives.finish(f.id, {.outcome = outcome_of(f.reason)}, now_ns() + 50, f.block_hashes));
    }
    stats.push_back(lives.take_stats(scheduler));
    ++steps;
    return true;
  }

  int64_t now_ns() const { return 100 * steps; }
  const RequestRecord& ended_one(RequestId id) const {
    return *std::find_if(ended.begin(), ended.end(), [&](const auto& r) { return r.id == id; });
  }

  scheduler::Scheduler scheduler;
  RequestLives lives;
  int64_t steps = 1;
  std::vector<RequestRecord> ended;
  std::vector<records::StepStats> stats;
};

TEST(RequestLives, ARecordHasTheTimesOfItsSteps) {
  Driver d(tight_config());
  d.arrive(1, 20, 3);  // two chunks: 16 and 4
  while (d.step()) {
  }
  ASSERT_EQ(d.ended.size(), 1u);
  const RequestRecord& r = d.ended[0];
  EXPECT_EQ(r.arrival_ns, 93);
  EXPECT_EQ(r.queued_ns, 100);
  EXPECT_EQ(r.first_scheduled_ns, 100);
  EXPECT_EQ(r.first_token_ns, 250) << "at the end of the second chunk";
  EXPECT_EQ(r.last_token_ns, 450);
  EXPECT_EQ(r.finished_ns, 450);
  EXPECT_EQ(r.completion_tokens, 3);
  EXPECT_EQ(r.outcome, Outcome::kLength);
  EXPECT_EQ(r.block_size, 4);
  EXPECT_EQ(r.block_hashes.size(), 5u) << "of 23 tokens";
  EXPECT_EQ(d.lives.size(), 0u);
}

TEST(RequestLives, PrefillChunksAndPreemptionsHaveTheTimesOfTheirSteps) {
  scheduler::Config config = tight_config();
  config.num_blocks = 11;  // ten to hand out
  Driver d(config);
  d.arrive(1, 12, 20);
  d.arrive(2, 10, 20);
  while (d.step()) {
  }
  const RequestRecord& second = d.ended_one(2);
  ASSERT_GE(second.preemptions, 1);
  ASSERT_EQ(second.preempted.size(), static_cast<size_t>(second.preemptions));
  int64_t from = second.first_scheduled_ns.value();
  for (const records::Preemption& preemption : second.preempted) {
    EXPECT_GT(preemption.start_ns, from);
    EXPECT_GT(preemption.end_ns, preemption.start_ns);
    from = preemption.end_ns;
  }
  // The first step has room for 4 of its tokens, the second computes the other 6.
  ASSERT_GE(second.prefill_chunks.size(), 3u) << "two, and one more after the preemption";
  EXPECT_EQ(second.prefill_chunks[0].tokens, 4);
  EXPECT_EQ(second.prefill_chunks[0].start_ns, 100);
  EXPECT_EQ(second.prefill_chunks[0].end_ns, 150);
  EXPECT_EQ(second.prefill_chunks[1].tokens, 6);
  EXPECT_EQ(second.prefill_chunks[1].end_ns, 250);
  EXPECT_EQ(second.prefill_chunks[2].start_ns, second.preempted[0].end_ns);
}

TEST(RequestLives, StatisticsCountWhatTheStepAdded) {
  Driver d(tight_config());
  d.arrive(1, 10, 3);
  d.step();
  d.arrive(2, 8, 2);
  d.step();
  d.step();
  ASSERT_EQ(d.stats.size(), 3u);
  EXPECT_EQ(d.stats[0].time_to_first_token_ns, std::vector<int64_t>{57});
  EXPECT_EQ(d.stats[0].prompt_tokens_computed, 10);
  EXPECT_EQ(d.stats[0].prefix_cache_queries, 10);
  EXPECT_EQ(d.stats[1].inter_token_latency_ns, std::vector<int64_t>{100});
  EXPECT_EQ(d.stats[1].time_to_first_token_ns, std::vector<int64_t>{57});
  EXPECT_EQ(d.stats[1].generation_tokens, 2);
  EXPECT_EQ(d.stats[1].running, 2);
  EXPECT_EQ(d.stats[2].generation_tokens, 2);
  EXPECT_EQ(d.stats[2].running, 0);
  EXPECT_EQ(d.stats[2].kv_cache_usage, 0);
}

TEST(RequestLives, StatisticsTellThoseHeldBackFromThoseThatWaitForCapacity) {
  Driver d(tight_config());
  for (RequestId id = 1; id <= 5; ++id) d.arrive(id, 4, 3);  // four may run
  RequestRecord record;
  record.id = 6;
  d.lives.arrive(std::move(record), d.now_ns());
  ASSERT_TRUE(d.scheduler.add({.id = 6, .num_prompt_tokens = 4, .max_tokens = 1, .ready = false}));
  d.step();
  EXPECT_EQ(d.stats[0].waiting, 2);
  EXPECT_EQ(d.stats[0].waiting_deferred, 1);
}

TEST(RequestLives, AChunkPlannedAheadStartsWhenTheStepBeforeHasEnded) {
  scheduler::Config config = tight_config();
  config.async_scheduling = true;
  Driver d(config);
  d.arrive(1, 20, 1);  // two chunks: 16 and 4
  const scheduler::StepPlan& first = d.scheduler.schedule();
  d.lives.planned(first, 100);
  const scheduler::StepPlan& second = d.scheduler.schedule();
  d.lives.planned(second, 110);
  d.scheduler.complete({});
  d.lives.computed(first, 150);
  const scheduler::SampledToken token{.id = 1, .token = 7};
  d.scheduler.complete({&token, 1});
  d.lives.computed(second, 180);
  const RequestRecord& r = d.lives.finish(1, {.outcome = Outcome::kLength}, 180, {});
  ASSERT_EQ(r.prefill_chunks.size(), 2u);
  EXPECT_EQ(r.prefill_chunks[0].end_ns, 150);
  EXPECT_EQ(r.prefill_chunks[1].start_ns, 150);
  EXPECT_EQ(r.prefill_chunks[1].end_ns, 180);
}

TEST(RequestLives, AnAbortedOneKeepsTheTimeOfItsLastToken) {
  Driver d(tight_config());
  d.arrive(1, 4, 20);
  d.step();
  d.step();
  d.abort(1);
  EXPECT_EQ(d.ended[0].last_token_ns, 250);
  EXPECT_EQ(d.ended[0].finished_ns, 300);
  EXPECT_EQ(d.ended[0].completion_tokens, 2);
  EXPECT_EQ(d.ended[0].outcome, Outcome::kAbort);
  EXPECT_FALSE(d.lives.knows(1));
}

TEST(RequestLives, TheRecordSaysHowItEnded) {
  RequestLives lives({});
  RequestRecord record;
  record.id = 5;
  lives.arrive(std::move(record), 1);
  const RequestRecord& ended = lives.finish(
      5, {.outcome = Outcome::kError, .http_status = 500, .error_type = "InternalServerError"}, 9,
      {});
  EXPECT_EQ(ended.outcome, Outcome::kError);
  EXPECT_EQ(ended.http_status, 500);
  EXPECT_EQ(ended.error_type, "InternalServerError");
  EXPECT_EQ(ended.queued_ns, 1);
  EXPECT_EQ(ended.finished_ns, 9);
}

/// INV-4 and INV-6 of the account: every life ends once, and what it counted is what was done.
RC_GTEST_PROP(RequestLives, CountWhatTheSchedulerDid, (uint64_t seed)) {
  RandomStream random(seed, "lives");
  Driver d(tight_config());
  RequestId next = 1;
  std::map<RequestId, int64_t> asked;
  while (next <= 30 || d.scheduler.has_requests()) {
    if (next <= 30 && random.chance(1, 2)) {
      asked[next] = random.between(1, 20);
      d.arrive(next, static_cast<int32_t>(random.between(1, 20)),
               static_cast<int32_t>(asked[next]));
      ++next;
    }
    if (random.chance(1, 10)) {
      const RequestId id = static_cast<RequestId>(random.between(1, 30));
      if (d.lives.knows(id)) d.abort(id);
    }
    d.step();
  }
  RC_ASSERT(d.ended.size() == 30u);
  RC_ASSERT(d.lives.size() == 0u);
  int64_t tokens = 0;
  int64_t preemptions = 0;
  for (const RequestRecord& r : d.ended) {
    tokens += r.completion_tokens;
    preemptions += r.preemptions;
    RC_ASSERT((r.outcome == Outcome::kAbort) || r.completion_tokens == asked[r.id]);
    RC_ASSERT(r.first_token_ns.has_value() == (r.completion_tokens > 0));
    RC_ASSERT(r.block_hashes.size() ==
              static_cast<size_t>((r.prompt_tokens + r.completion_tokens) / 4));
  }
  for (const records::StepStats& stats : d.stats) {
    tokens -= stats.generation_tokens;
    preemptions -= stats.preemptions;
  }
  RC_ASSERT(tokens == 0);
  RC_ASSERT(preemptions == 0);
}

}  // namespace
}  // namespace touchstone::lifecycle
