// Drives a scheduler step by step, for tests of its rules.
#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/scheduler.h"

namespace touchstone::scheduler {

using Ids = std::vector<RequestId>;

inline Config small_config() {
  return {.num_blocks = 11,
          .block_size = 4,
          .max_num_seqs = 4,
          .max_num_batched_tokens = 16,
          .max_model_len = 40};
}

inline std::vector<TokenId> tokens(int32_t n, TokenId first) {
  std::vector<TokenId> result(static_cast<size_t>(n));
  std::iota(result.begin(), result.end(), first);
  return result;
}

/// A request whose prompt is first, first + 1, ….
inline NewRequest request(RequestId id, int32_t prompt, int32_t max_tokens, TokenId first) {
  NewRequest r{.id = id, .arrival_ns = static_cast<int64_t>(id), .max_tokens = max_tokens};
  set_prompt(r, {}, tokens(prompt, first), small_config().block_size);
  return r;
}
inline NewRequest unshared(RequestId id, int32_t prompt, int32_t max_tokens) {
  return request(id, prompt, max_tokens, static_cast<TokenId>(1000 * id));
}

struct Driver {
  explicit Driver(const Config& config) : scheduler(config) {}

  /// One step in which every sampled token is `token`.
  std::vector<FinishedRequest> step(TokenId token = 7) {
    const StepPlan& plan = scheduler.schedule();
    last = plan;
    std::vector<SampledToken> sampled;
    for (const ScheduledRequest& s : plan.scheduled) {
      if (s.samples_token) sampled.push_back({s.id, token, false});
    }
    std::vector<FinishedRequest> finished;
    if (!plan.scheduled.empty()) {
      const auto span = scheduler.complete(sampled);
      finished.assign(span.begin(), span.end());
    }
    scheduler.check_invariants();
    return finished;
  }
  /// "id:computed+scheduled", with * when it samples.
  std::string shares() const {
    std::string text;
    for (const ScheduledRequest& s : last.scheduled) {
      text += (text.empty() ? "" : " ") + std::to_string(s.id) + ":" +
              std::to_string(s.num_computed_tokens) + "+" + std::to_string(s.num_scheduled_tokens) +
              (s.samples_token ? "*" : "");
    }
    return text;
  }

  Scheduler scheduler;
  StepPlan last;  // block tables are stale
};

}  // namespace touchstone::scheduler
