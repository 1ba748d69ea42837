#include "reference_engine/lifecycle/schedule_log.h"

#include <cstdint>
#include <utility>

#include "base/version.h"
#include "reference_engine/scheduler/policies.h"
#include "reference_engine/scheduler/scheduler.h"

namespace touchstone::lifecycle {

records::StepLogHeader header_of(const scheduler::Config& config, const std::string& clock) {
  return {.engine = std::string("touchstone ") + kVersion,
          .clock = clock,
          .num_blocks = config.num_blocks,
          .block_size = config.block_size,
          .max_num_seqs = config.max_num_seqs,
          .max_num_batched_tokens = config.max_num_batched_tokens,
          .max_model_len = config.max_model_len,
          .long_prefill_token_threshold = config.long_prefill_token_threshold,
          .watermark_blocks = config.watermark_blocks,
          .enable_prefix_caching = config.enable_prefix_caching,
          .enable_chunked_prefill = config.enable_chunked_prefill,
          .reserve_full_prompt = config.reserve_full_prompt,
          .policy = scheduler::to_string(config.policy)};
}

Result<scheduler::Config> config_of(const records::StepLogHeader& header) {
  scheduler::Config config;
  const std::pair<int64_t, int32_t*> fields[] = {
      {header.block_size, &config.block_size},
      {header.max_num_seqs, &config.max_num_seqs},
      {header.max_num_batched_tokens, &config.max_num_batched_tokens},
      {header.max_model_len, &config.max_model_len},
      {header.long_prefill_token_threshold, &config.long_prefill_token_threshold}};
  for (const auto& [value, field] : fields) {
    if (value < INT32_MIN || value > INT32_MAX) {
      return invalid_argument("step log: got " + std::to_string(value) +
                              ", expected a number of 32 bits");
    }
    *field = static_cast<int32_t>(value);
  }
  config.num_blocks = header.num_blocks;
  config.watermark_blocks = header.watermark_blocks;
  config.enable_prefix_caching = header.enable_prefix_caching;
  config.enable_chunked_prefill = header.enable_chunked_prefill;
  config.reserve_full_prompt = header.reserve_full_prompt;
  const auto policy = scheduler::parse_policy(header.policy);
  if (!policy) {
    return invalid_argument("step log: policy: got \"" + header.policy +
                            "\", expected fcfs or priority");
  }
  config.policy = *policy;
  Status status = scheduler::validate(config);
  if (!status) return std::move(status).error().with_context("step log");
  return config;
}

void add_plan(const scheduler::StepPlan& plan, const scheduler::State& state,
              records::StepRecord& record) {
  record.step = plan.step;
  for (const scheduler::ScheduledRequest& r : plan.scheduled) {
    record.requests.push_back({.id = r.id,
                               .computed = r.num_computed_tokens,
                               .scheduled = r.num_scheduled_tokens,
                               .samples = r.samples_token,
                               .cached = r.num_cached_tokens,
                               .prefill = r.num_computed_tokens < r.num_prompt_tokens});
  }
  record.preempted.assign(plan.preempted.begin(), plan.preempted.end());
  record.running = state.running;
  record.waiting = state.waiting;
  record.free_blocks = state.free_blocks;
  record.cached_blocks = state.cached_blocks;
}

void add_finished(std::span<const scheduler::FinishedRequest> finished,
                  records::StepRecord& record) {
  for (const scheduler::FinishedRequest& f : finished) {
    record.finished.push_back({f.id, to_string(f.reason)});
  }
}

}  // namespace touchstone::lifecycle
