#include "reference_engine/lifecycle/schedule_log.h"

#include <utility>

#include "base/version.h"
#include "reference_engine/scheduler/scheduler.h"

namespace touchstone::lifecycle {

records::StepLogHeader header_of(const scheduler::Config& config, const std::string& clock) {
  return {.engine = std::string("touchstone ") + kVersion,
          .clock = clock,
          .config = scheduler::values_of(config)};
}

Result<scheduler::Config> config_of(const records::StepLogHeader& header) {
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    if (field.in_first_logs && !header.config.contains(std::string(field.name))) {
      return invalid_argument("step log: " + std::string(field.name) +
                              ": got none, expected the field of the scheduler's configuration");
    }
  }
  scheduler::Config config;
  Status status = scheduler::set_values(header.config, config);
  if (status) status = scheduler::validate(config);
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
