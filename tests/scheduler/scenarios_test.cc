// Random scenarios against an independent model of memory at the level of tokens: every slot of
// every block remembers which sequence of tokens was computed into it. Nothing here uses hashes.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/scheduler.h"

namespace touchstone::scheduler {
namespace {

using Tokens = std::vector<TokenId>;

struct ModelRequest {
  Tokens tokens;
  int32_t num_prompt_tokens = 0;
  NewRequest request;
  bool was_admitted = false;
};

class Scenario {
 public:
  explicit Scenario(uint64_t seed)
      : random_(seed, "scheduler scenario"), config_(make_config()), scheduler_(config_) {
    slots_.resize(static_cast<size_t>(config_.num_blocks * config_.block_size));
  }

  /// Runs until `num_requests` have come and gone.
  void run(int num_requests) {
    int64_t steps = 0;
    int64_t work = 0;
    while (injected_ < num_requests || scheduler_.has_requests()) {
      while (injected_ < num_requests && (random_.chance(1, 3) || !scheduler_.has_requests())) {
        add();
      }
      if (random_.chance(1, 15)) abort_one();
      work += step();
      // INV-4, no livelock: every step computes, and what is computed again is bounded by
      // preemptions times the longest sequence.
      const int64_t most =
          (num_requests + scheduler_.counters().preemptions) * int64_t{config_.max_model_len};
      ASSERT_LE(work, most);
      ASSERT_LE(++steps, most + num_requests);
    }
    const State state = scheduler_.state();
    ASSERT_EQ(state.free_blocks, state.total_blocks) << "everything is free at the end";
    ASSERT_EQ(injected_, completed_ + aborted_);
  }

 private:
  Config make_config() {
    Config c;
    c.block_size = static_cast<int32_t>(random_.between(1, 6));
    c.max_model_len = static_cast<int32_t>(random_.between(4, 40));
    const int64_t longest = (c.max_model_len + c.block_size - 1) / c.block_size;
    c.num_blocks = 1 + longest + random_.between(0, 2 * longest);
    c.max_num_seqs = static_cast<int32_t>(random_.between(1, 8));
    c.enable_chunked_prefill = random_.chance(3, 4);
    c.max_num_batched_tokens = std::max<int32_t>(
        c.max_num_seqs, static_cast<int32_t>(random_.between(1, 2 * c.max_model_len)));
    if (!c.enable_chunked_prefill) {
      c.max_num_batched_tokens = std::max(c.max_num_batched_tokens, c.max_model_len);
    }
    c.long_prefill_token_threshold =
        random_.chance(1, 4) ? static_cast<int32_t>(random_.between(1, c.max_model_len)) : 0;
    c.enable_prefix_caching = random_.chance(4, 5);
    c.reserve_full_prompt = random_.chance(1, 2);
    c.watermark_blocks =
        random_.chance(1, 3) ? random_.between(0, std::min<int64_t>(3, c.num_blocks - 1)) : 0;
    c.policy = random_.chance(1, 2) ? Policy::kFcfs : Policy::kPriority;
    return c;
  }

  void add() {
    ModelRequest r;
    r.num_prompt_tokens = static_cast<int32_t>(random_.between(1, config_.max_model_len - 1));
    if (!models_.empty() && random_.chance(2, 3)) {  // begin as somebody else did
      const auto it =
          std::next(models_.begin(), static_cast<std::ptrdiff_t>(random_.below(models_.size())));
      r.tokens = it->second.tokens;
      r.tokens.resize(static_cast<size_t>(
          std::min<int64_t>(r.num_prompt_tokens, random_.between(0, std::ssize(r.tokens)))));
    }
    while (std::ssize(r.tokens) < r.num_prompt_tokens) r.tokens.push_back(draw_token());
    r.request.id = ++last_id_;
    r.request.arrival_ns = injected_ / 2;  // ties
    r.request.priority = random_.between(0, 2);
    r.request.max_tokens = static_cast<int32_t>(random_.between(1, config_.max_model_len));
    r.request.min_tokens = static_cast<int32_t>(
        random_.between(0, std::min(2, config_.max_model_len - r.num_prompt_tokens)));
    r.request.ignore_eos = random_.chance(1, 2);
    r.request.eos_token_ids = {kEos};
    r.request.skip_reading_prefix_cache = random_.chance(1, 10);
    set_prompt(r.request, {}, r.tokens, config_.block_size);
    ASSERT_TRUE(scheduler_.add(r.request));
    models_.emplace(last_id_, std::move(r));
    alive_.insert(last_id_);
    ++injected_;
  }

  void abort_one() {
    if (alive_.empty()) return;
    const RequestId id =
        *std::next(alive_.begin(), static_cast<std::ptrdiff_t>(random_.below(alive_.size())));
    ASSERT_TRUE(scheduler_.abort(id));
    ASSERT_FALSE(scheduler_.abort(id));
    alive_.erase(id);
    ++aborted_;
  }

  int64_t step() {
    const StepPlan& plan = scheduler_.schedule();
    if (plan.scheduled.empty()) {
      EXPECT_FALSE(scheduler_.has_requests()) << "INV-4: nothing runs though something could";
      return 0;
    }
    scheduler_.check_invariants();
    check_plan(plan);
    std::vector<SampledToken> sampled;
    for (const ScheduledRequest& s : plan.scheduled) {
      compute(s);
      if (s.samples_token) sampled.push_back({s.id, draw_token(), false});
    }
    const int64_t total = plan.total_tokens;
    if (random_.chance(1, 20)) {
      abort_one();
      std::erase_if(sampled, [this](const SampledToken& t) { return !alive_.contains(t.id); });
    }
    const auto finished = scheduler_.complete(sampled);
    for (const SampledToken& t : sampled) models_.at(t.id).tokens.push_back(t.token);
    check_finished(sampled, finished);
    scheduler_.check_invariants();
    const State state = scheduler_.state();
    EXPECT_EQ(injected_, completed_ + aborted_ + state.running + state.waiting) << "INV-4";
    EXPECT_LE(state.running, config_.max_num_seqs);
    return total;
  }

  void check_plan(const StepPlan& plan) {
    int32_t total = 0;
    std::set<RequestId> seen;
    for (const ScheduledRequest& s : plan.scheduled) {
      ASSERT_TRUE(alive_.contains(s.id));
      ASSERT_TRUE(seen.insert(s.id).second) << "once a step";
      ASSERT_GE(s.num_scheduled_tokens, 1);
      total += s.num_scheduled_tokens;
      ModelRequest& model = models_.at(s.id);
      const auto reached = s.num_computed_tokens + s.num_scheduled_tokens;
      ASSERT_EQ(s.samples_token, reached == std::ssize(model.tokens));
      ASSERT_LE(reached, std::ssize(model.tokens));
      ASSERT_EQ(s.first_schedule, !std::exchange(model.was_admitted, true));
      if (config_.policy == Policy::kFcfs && s.first_schedule) {
        ASSERT_GT(s.id, last_admitted_) << "INV-7: nobody overtakes";
        last_admitted_ = s.id;
      }
      if (config_.policy == Policy::kFcfs && !plan.preempted.empty()) {
        ASSERT_FALSE(s.first_schedule || s.resumed) << "admitted in a step with a preemption";
      }
      if (!config_.enable_prefix_caching || model.request.skip_reading_prefix_cache) {
        ASSERT_EQ(s.num_cached_tokens, 0);
      }
    }
    ASSERT_EQ(total, plan.total_tokens);
    ASSERT_LE(total, config_.max_num_batched_tokens) << "INV-6";
  }

  /// INV-3: what is said to be computed already is in the blocks, token by token.
  void compute(const ScheduledRequest& s) {
    const Tokens& tokens = models_.at(s.id).tokens;
    const int32_t reached = s.num_computed_tokens + s.num_scheduled_tokens;
    ASSERT_GE(std::ssize(s.block_table) * config_.block_size, reached);
    for (int32_t p = 0; p < reached; ++p) {
      Tokens& slot = slots_[static_cast<size_t>(
          s.block_table[static_cast<size_t>(p / config_.block_size)] * config_.block_size +
          p % config_.block_size)];
      const Tokens expected(tokens.begin(), tokens.begin() + p + 1);
      if (p >= s.num_computed_tokens) {
        slot = expected;
      } else {
        ASSERT_EQ(slot, expected) << "INV-3: request " << s.id << " position " << p;
      }
    }
  }

  void check_finished(const std::vector<SampledToken>& sampled,
                      std::span<const FinishedRequest> finished) {
    size_t next = 0;
    for (const SampledToken& t : sampled) {
      const ModelRequest& model = models_.at(t.id);
      const auto outputs = std::ssize(model.tokens) - model.num_prompt_tokens;
      const bool may_end = outputs >= model.request.min_tokens;
      const bool eos = may_end && !model.request.ignore_eos && t.token == kEos;
      const bool length = may_end && (outputs >= model.request.max_tokens ||
                                      std::ssize(model.tokens) >= config_.max_model_len);
      if (!eos && !length) continue;
      ASSERT_LT(next, finished.size());
      ASSERT_EQ(finished[next].id, t.id);
      ASSERT_EQ(finished[next].reason, eos ? FinishReason::kStop : FinishReason::kLength);
      alive_.erase(t.id);
      ++completed_;
      ++next;
    }
    ASSERT_EQ(next, finished.size());
  }

  TokenId draw_token() { return static_cast<TokenId>(random_.below(4)); }

  static constexpr TokenId kEos = 0;
  RandomStream random_;
  Config config_;
  Scheduler scheduler_;
  std::map<RequestId, ModelRequest> models_;
  std::set<RequestId> alive_;
  std::vector<Tokens> slots_;  // what each slot of each block holds: the sequence up to it
  RequestId last_id_ = 0;
  RequestId last_admitted_ = 0;
  int64_t injected_ = 0;
  int64_t completed_ = 0;
  int64_t aborted_ = 0;
};

RC_GTEST_PROP(Scenarios, KeepAllInvariants, (uint64_t seed)) {
  constexpr uint64_t kScenariosEach = 12;  // times RapidCheck's 100 cases
  for (uint64_t i = 0; i < kScenariosEach; ++i) {
    Scenario scenario(seed * kScenariosEach + i);
    scenario.run(12);
    RC_ASSERT(!::testing::Test::HasFailure());
  }
}

}  // namespace
}  // namespace touchstone::scheduler
