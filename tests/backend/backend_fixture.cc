#include "tests/backend/backend_fixture.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <numeric>

#include "base/check.h"
#include "base/random.h"
#include "reference_engine/sampling/sampler.h"

namespace touchstone::backend {
namespace {

using Rows = std::vector<std::vector<sampling::TokenLogprob>>;

bool same_rows(const Rows& a, const Rows& b) {
  const auto equal = [](const sampling::TokenLogprob& x, const sampling::TokenLogprob& y) {
    return x.token == y.token && x.rank == y.rank &&
           std::bit_cast<uint32_t>(x.logprob) == std::bit_cast<uint32_t>(y.logprob);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const auto& x, const auto& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), equal);
  });
}

/// One job under way. `planned` counts what is submitted, tokens in flight included.
struct Live {
  const Job* job = nullptr;
  RequestId id = 0;
  std::vector<BlockId> blocks = {};
  std::vector<int32_t> known = {};  // prompt and sampled tokens
  size_t planned = 0;               // positions submitted since the last start
  size_t sampled = 0;               // tokens sampled or in flight
  bool ended = false;
  Yield yield = {};

  size_t length() const { return job->prompt.size() + sampled; }
};

/// A submitted plan, to make sense of what it yields.
struct Flown {
  std::vector<size_t> owners;
  std::vector<Entry> entries;
};

class Player {
 public:
  Player(Backend& backend, const std::vector<Job>& jobs, int32_t blocks, int32_t block_size,
         Pace pace, uint64_t seed)
      : backend_(backend), pace_(pace), random_(seed, "play") {
    std::vector<BlockId> free(static_cast<size_t>(blocks - 1));
    std::iota(free.begin(), free.end(), 1);
    for (size_t i = free.size(); i > 1; --i) std::swap(free[i - 1], free[random_.below(i)]);
    for (const Job& job : jobs) {
      Live live{.job = &job, .id = 100 + live_.size(), .known = job.prompt};
      const size_t count =
          1 + (job.prompt.size() + job.num_tokens) / static_cast<size_t>(block_size);
      BASE_CHECK(count <= free.size(), "too few blocks");
      live.blocks.assign(free.end() - static_cast<ptrdiff_t>(count), free.end());
      free.resize(free.size() - count);
      BASE_CHECK(backend.begin(live.id, job.params, job.prompt).has_value());
      live_.push_back(std::move(live));
    }
  }

  std::vector<Yield> run() {
    for (;;) {
      const bool submitted = submit();
      if (in_flight_.empty() && !submitted && done()) break;
      const size_t allowed = pace_ == Pace::kOneAhead && submitted ? 1 : 0;
      while (in_flight_.size() > allowed) take();
    }
    std::vector<Yield> yields;
    for (Live& live : live_) yields.push_back(std::move(live.yield));
    return yields;
  }

 private:
  bool done() const {
    return std::all_of(live_.begin(), live_.end(), [](const Live& live) { return live.ended; });
  }

  bool submit() {
    std::vector<std::vector<int32_t>> tokens(live_.size());
    Flown flown;
    for (size_t i = 0; i < live_.size(); ++i) {
      Live& live = live_[i];
      if (live.ended || random_.chance(1, 5)) continue;
      if (live.planned > 0 && random_.chance(1, 12)) {
        backend_.preempted(live.id);
        live.planned = 0;
      }
      const size_t left = live.length() - live.planned;
      if (left == 0 || live.sampled == live.job->num_tokens) continue;
      const size_t some = random_.chance(1, 2) ? left : 1 + random_.below(left);
      for (size_t p = live.planned; p < live.planned + some; ++p) {
        tokens[i].push_back(p < live.known.size() ? live.known[p] : kTokenInFlight);
      }
      // Only the last may be in flight, which holds with one plan ahead.
      flown.entries.push_back(entry(live, tokens[i]));
      flown.owners.push_back(i);
      live.planned += some;
      if (flown.entries.back().sample) live.sampled += 1;
    }
    if (flown.entries.empty()) return false;
    BASE_CHECK(backend_.submit({flown.entries}).has_value());
    for (auto& list : tokens) std::fill(list.begin(), list.end(), -77);  // borrowed for the call
    in_flight_.push_back(std::move(flown));
    return true;
  }

  Entry entry(const Live& live, std::span<const int32_t> tokens) {
    Entry entry{.request_id = live.id,
                .tokens = tokens,
                .first_position = static_cast<int32_t>(live.planned),
                .block_table = live.blocks,
                .sample = live.planned + tokens.size() == live.length(),
                .logprobs = live.job->params.logprobs,
                .token_bitmask = live.job->bitmask};
    if (live.job->params.prompt_logprobs) {
      const auto rows = static_cast<int64_t>(live.job->prompt.size()) - 1 - entry.first_position;
      entry.num_prompt_rows =
          static_cast<int32_t>(std::clamp<int64_t>(rows, 0, static_cast<int64_t>(tokens.size())));
      entry.prompt_logprobs = *live.job->params.prompt_logprobs;
    }
    return entry;
  }

  void take() {
    const Flown flown = std::move(in_flight_.front());
    in_flight_.pop_front();
    BASE_CHECK(backend_.wait(outputs_).has_value());
    for (size_t i = 0; i < flown.entries.size(); ++i) {
      const Entry& entry = flown.entries[i];
      Live& live = live_[flown.owners[i]];
      if (live.ended) continue;
      live.yield.prompt_logprobs.resize(live.job->prompt.size());
      for (int64_t k = 0; k < outputs_.num_prompt_rows(i); ++k) {
        live.yield.prompt_logprobs.at(static_cast<size_t>(entry.first_position + k + 1)) =
            outputs_.prompt_logprobs(i, k);
      }
      if (!entry.sample) continue;
      live.known.push_back(outputs_.tokens[i]);
      live.yield.tokens.push_back(outputs_.tokens[i]);
      live.yield.logprobs.push_back(outputs_.sampled_logprobs(i));
      if (live.yield.tokens.size() == live.job->num_tokens) {
        backend_.end(live.id);
        live.ended = true;
      }
    }
  }

  Backend& backend_;
  Pace pace_;
  RandomStream random_;
  std::vector<Live> live_;
  std::deque<Flown> in_flight_;
  Outputs outputs_;
};

}  // namespace

bool same(const Yield& a, const Yield& b) {
  return a.tokens == b.tokens && same_rows(a.logprobs, b.logprobs) &&
         same_rows(a.prompt_logprobs, b.prompt_logprobs);
}

std::vector<Yield> play(Backend& backend, const std::vector<Job>& jobs, int32_t blocks,
                        int32_t block_size, Pace pace, uint64_t seed) {
  return Player(backend, jobs, blocks, block_size, pace, seed).run();
}

std::vector<Job> random_jobs(uint64_t seed, size_t count, int32_t vocab_size) {
  RandomStream random(seed, "jobs");
  std::vector<Job> jobs;
  for (size_t i = 0; i < count; ++i) {
    Job job;
    const int64_t length = random.between(2, 60);
    for (int64_t p = 0; p < length; ++p) {
      job.prompt.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(vocab_size))));
    }
    job.num_tokens = 1 + random.below(20);
    job.params.temperature = random.chance(1, 2) ? 0.0 : 0.9;
    job.params.seed = random.next();
    job.params.top_p = random.chance(1, 2) ? 1.0 : 0.9;
    job.params.top_k = random.chance(1, 2) ? 0 : 40;
    job.params.repetition_penalty = random.chance(1, 2) ? 1.0 : 1.3;
    job.params.frequency_penalty = random.chance(1, 2) ? 0.0 : 0.5;
    job.params.bad_words = {{1, 2}, {job.prompt[0]}};
    job.params.logit_bias = {{job.prompt[1], 1.5F}};
    job.params.min_tokens = 3;
    job.params.masked_before_min_tokens = {5};
    if (random.chance(1, 2)) job.params.logprobs = static_cast<int32_t>(random.below(6));
    if (random.chance(1, 3)) job.params.prompt_logprobs = static_cast<int32_t>(random.below(4));
    if (random.chance(1, 3)) {
      job.bitmask.assign(static_cast<size_t>(sampling::bitmask_words(vocab_size)), 0x5A5A5A5A);
    }
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace touchstone::backend
