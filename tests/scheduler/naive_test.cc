// The scheduler against a naive one, plan by plan, over random load: both policies, tight budgets
// and pools, preemption, aborts, adapters, requests that are not ready, sliding windows,
// asynchronous and not.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "base/random.h"
#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/scheduler.h"
#include "tests/scheduler/naive_scheduler.h"

namespace touchstone::scheduler {
namespace {

using testing::NaiveScheduler;
using testing::Tokens;

/// What a plan says, in one line that can be compared and printed.
std::string text_of(const NaiveScheduler::Plan& plan) {
  std::string text = "preempted";
  for (const RequestId id : plan.preempted) text += " " + std::to_string(id);
  for (const NaiveScheduler::Entry& e : plan.scheduled) {
    text += "; " + std::to_string(e.id) + ":" + std::to_string(e.computed) + "+" +
            std::to_string(e.scheduled) + (e.samples ? "*" : "") + (e.placeholder ? "?" : "") +
            (e.first ? " first" : "") + (e.resumed ? " resumed" : "") + " cached " +
            std::to_string(e.cached) + " [";
    for (const BlockId b : e.blocks) text += " " + std::to_string(b);
    text += " ]";
  }
  return text;
}

NaiveScheduler::Plan same_words(const StepPlan& plan) {
  NaiveScheduler::Plan result;
  result.preempted = plan.preempted;
  for (const ScheduledRequest& s : plan.scheduled) {
    result.scheduled.push_back({.id = s.id,
                                .computed = s.num_computed_tokens,
                                .scheduled = s.num_scheduled_tokens,
                                .cached = s.num_cached_tokens,
                                .samples = s.samples_token,
                                .placeholder = s.ends_in_placeholder,
                                .first = s.first_schedule,
                                .resumed = s.resumed,
                                .blocks = {s.block_table.begin(), s.block_table.end()}});
  }
  return result;
}

std::string text_of(const State& s) {
  return std::to_string(s.running) + " run, " + std::to_string(s.waiting) + " wait (" +
         std::to_string(s.waiting_deferred) + " deferred), " + std::to_string(s.free_blocks) +
         " free, " + std::to_string(s.cached_blocks) + " cached";
}

Config draw_config(RandomStream& random) {
  Config c;
  c.block_size = static_cast<int32_t>(random.between(1, 5));
  c.max_model_len = static_cast<int32_t>(random.between(4, 40));
  const int64_t longest = (c.max_model_len + c.block_size - 1) / c.block_size;
  c.num_blocks = 1 + longest + random.between(0, 2 * longest);
  c.max_num_seqs = static_cast<int32_t>(random.between(1, 8));
  c.enable_chunked_prefill = random.chance(3, 4);
  c.max_num_batched_tokens = std::max<int32_t>(
      c.max_num_seqs, static_cast<int32_t>(random.between(1, 2 * c.max_model_len)));
  if (!c.enable_chunked_prefill) {
    c.max_num_batched_tokens = std::max(c.max_num_batched_tokens, c.max_model_len);
  }
  c.long_prefill_token_threshold =
      random.chance(1, 4) ? static_cast<int32_t>(random.between(1, c.max_model_len)) : 0;
  c.enable_prefix_caching = random.chance(4, 5);
  c.reserve_full_prompt = random.chance(1, 2);
  c.watermark_blocks =
      random.chance(1, 3) ? random.between(0, std::min<int64_t>(3, c.num_blocks - 1)) : 0;
  c.policy = random.chance(1, 2) ? Policy::kFcfs : Policy::kPriority;
  c.async_scheduling = random.chance(1, 2);
  c.max_loras = static_cast<int32_t>(random.between(1, 3));
  if (random.chance(1, 3)) c.sliding_window = static_cast<int32_t>(random.between(1, 20));
  return c;
}

class Comparison {
 public:
  explicit Comparison(uint64_t seed)
      : random_(seed, "naive scheduler"),
        config_(draw_config(random_)),
        real_(config_),
        naive_(config_) {}

  void run(int num_requests) {
    int idle = 0;
    for (int added = 0; added < num_requests || !alive_.empty() || real_.plans_in_flight() > 0;) {
      if (added < num_requests && (random_.chance(1, 3) || alive_.empty())) add(++added);
      if (random_.chance(1, 15)) abort_one();
      if (random_.chance(1, 4)) make_ready();
      const int flying = real_.plans_in_flight();
      const int most = config_.async_scheduling ? 2 : 1;
      const bool worked = flying < most && (flying == 0 || random_.chance(3, 4)) && schedule();
      if (!worked && real_.plans_in_flight() > 0) complete();
      if (::testing::Test::HasFailure()) return;
      idle = worked || flying > 0 || not_ready_.size() == alive_.size() ? 0 : idle + 1;
      ASSERT_LE(idle, 1) << "INV-4: nothing runs though something could";
    }
    EXPECT_EQ(real_.state().free_blocks, real_.state().total_blocks);
  }

 private:
  void add(int number) {
    NewRequest r{.id = static_cast<RequestId>(number)};
    const int64_t prompt = random_.between(1, config_.max_model_len - 1);
    Tokens tokens;
    if (!prompts_.empty() && random_.chance(2, 3)) {  // begin as somebody else did
      tokens = prompts_[random_.below(prompts_.size())];
      tokens.resize(static_cast<size_t>(std::min<int64_t>(prompt, std::ssize(tokens))));
    }
    while (std::ssize(tokens) < prompt) tokens.push_back(token());
    prompts_.push_back(tokens);
    r.arrival_ns = number / 2;  // ties
    r.priority = random_.between(0, 2);
    r.max_tokens = static_cast<int32_t>(random_.between(1, config_.max_model_len));
    r.min_tokens = static_cast<int32_t>(
        random_.between(0, std::min<int64_t>(2, config_.max_model_len - prompt)));
    r.ignore_eos = random_.chance(1, 2);
    r.eos_token_ids = {0};
    r.skip_reading_prefix_cache = random_.chance(1, 10);
    r.adapter = random_.chance(1, 3) ? static_cast<int32_t>(random_.between(1, 4)) : 0;
    r.ready = random_.chance(4, 5);
    set_prompt(r, {}, tokens, config_.block_size);
    naive_.add(r, tokens);
    ASSERT_TRUE(real_.add(r));
    alive_.push_back(r.id);
    if (!r.ready) not_ready_.push_back(r.id);
    check_state("add");
  }

  void abort_one() {
    if (alive_.empty()) return;
    const RequestId id = alive_[random_.below(alive_.size())];
    naive_.abort(id);
    ASSERT_TRUE(real_.abort(id));
    over(id);
    check_state("abort");
  }

  void make_ready() {
    if (not_ready_.empty()) return;
    const RequestId id = not_ready_.front();
    not_ready_.erase(not_ready_.begin());
    naive_.ready(id);
    ASSERT_TRUE(real_.ready(id));
    check_state("ready");
  }

  bool schedule() {
    const NaiveScheduler::Plan expected = naive_.schedule();
    const StepPlan& plan = real_.schedule();
    EXPECT_EQ(text_of(same_words(plan)), text_of(expected));
    int64_t total = 0;
    for (const NaiveScheduler::Entry& e : expected.scheduled) total += e.scheduled;
    EXPECT_EQ(plan.total_tokens, total);
    check_state("schedule");
    if (plan.scheduled.empty()) return false;
    in_flight_.push_back(same_words(plan));
    return true;
  }

  void complete() {
    std::vector<SampledToken> sampled;
    std::map<RequestId, TokenId> by_id;
    for (const NaiveScheduler::Entry& e : in_flight_.front().scheduled) {
      const bool gone = std::count(alive_.begin(), alive_.end(), e.id) == 0;
      if (!e.samples || (gone && (!config_.async_scheduling || random_.chance(1, 2)))) continue;
      sampled.push_back({.id = e.id, .token = token()});
      by_id[e.id] = sampled.back().token;
    }
    in_flight_.pop_front();
    const auto expected = naive_.complete(by_id);
    std::vector<std::pair<RequestId, FinishReason>> finished;
    for (const FinishedRequest& f : real_.complete(sampled)) finished.emplace_back(f.id, f.reason);
    EXPECT_EQ(finished, expected);
    for (const auto& [id, reason] : expected) over(id);
    check_state("complete");
  }

  void over(RequestId id) {
    std::erase(alive_, id);
    std::erase(not_ready_, id);
  }

  void check_state(const char* after) {
    real_.check_invariants();
    EXPECT_EQ(text_of(real_.state()), text_of(naive_.state())) << "after " << after;
  }

  TokenId token() { return static_cast<TokenId>(random_.below(4)); }

  RandomStream random_;
  const Config config_;
  Scheduler real_;
  NaiveScheduler naive_;
  std::vector<Tokens> prompts_;
  std::vector<RequestId> alive_;
  std::vector<RequestId> not_ready_;
  std::deque<NaiveScheduler::Plan> in_flight_;
};

void compare(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Comparison(seed).run(40);
}

TEST(Naive, PlansAreEqualForFixedSeeds) {
  for (uint64_t seed = 0; seed < 1000 && !::testing::Test::HasFailure(); ++seed) compare(seed);
}

RC_GTEST_PROP(Naive, PlansAreEqual, (uint64_t seed)) {
  for (uint64_t i = 0; i < 4; ++i) compare(seed * 4 + i);
  RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace touchstone::scheduler
