#include "simulator/cluster/replica.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace touchstone::simulator {
namespace {

uint64_t hash_id(scheduler::RequestId id) { return id * 0x9e3779b97f4a7c15u >> 20; }

}  // namespace

Replica::Replica(int32_t index, const ReplicaOptions& options, uint64_t seed, Observer& observer)
    : index_(index),
      scheduler_(options.config),
      model_(options.model),
      validity_(options.model.validity()),
      noise_(seed, "step times of replica " + std::to_string(index)),
      observer_(observer),
      max_model_len_(options.config.max_model_len),
      wants_hashes_(observer.wants_hashes()) {}

void Replica::arrive(SimulatedRequest&& request) {
  const scheduler::RequestId id = request.request.id;
  inputs_.push_back({records::StepInput::Kind::kArrive, id, std::move(request)});
}

void Replica::abort(scheduler::RequestId id) {
  inputs_.push_back({records::StepInput::Kind::kAbort, id, {}});
}

std::optional<int64_t> Replica::start_step(int64_t now_ns) {
  BASE_CHECK(!stepping_, "a step runs since ", start_ns_);
  apply_inputs(now_ns);
  const scheduler::StepPlan& plan = scheduler_.schedule();
  if (plan.scheduled.empty()) {
    BASE_CHECK(!scheduler_.has_requests(), "INV-4: requests wait and nothing runs");
    return std::nullopt;
  }
  stepping_ = true;
  plan_ = &plan;
  state_ = scheduler_.state();
  start_ns_ = now_ns;
  note_plan(plan, now_ns);
  const StepFeatures features = features_of(plan);
  extrapolated_ = !validity_.contains(features);
  const int64_t duration_ns = model_.duration_ns(features, noise_);
  BASE_CHECK(duration_ns >= 1, "step ", plan.step, " takes ", duration_ns, " ns");
  return duration_ns;
}

void Replica::end_step(int64_t now_ns) {
  BASE_CHECK(stepping_ && now_ns > start_ns_);
  stepping_ = false;
  last_end_ns_ = now_ns;
  for (const int32_t slot : first_tokens_) {
    lives_[static_cast<size_t>(slot)].times.first_token_ns = now_ns;
  }
  const std::span<const scheduler::FinishedRequest> finished = scheduler_.complete(sampled_);
  observer_.on_step({.replica = index_,
                     .plan = *plan_,
                     .state = state_,
                     .start_ns = start_ns_,
                     .duration_ns = now_ns - start_ns_,
                     .extrapolated = extrapolated_,
                     .inputs = applied_,
                     .finished = finished});
  applied_.clear();
  for (const scheduler::FinishedRequest& f : finished) {
    const int32_t slot = slot_of(f.id);
    Life& life = lives_[static_cast<size_t>(slot)];
    life.times.last_token_ns = now_ns;
    life.times.completion_tokens =
        std::min(life.times.max_tokens, max_model_len_ - life.times.prompt_tokens);
    finish(slot, life.outcome, now_ns);
  }
}

void Replica::apply_inputs(int64_t now_ns) {
  for (Input& input : inputs_) {
    if (input.kind == records::StepInput::Kind::kArrive) {
      admit(std::move(input.arriving), now_ns);
    } else {
      hang_up(input.id, now_ns);
    }
  }
  inputs_.clear();
}

void Replica::admit(SimulatedRequest&& arriving, int64_t now_ns) {
  scheduler::NewRequest& request = arriving.request;
  int32_t slot = static_cast<int32_t>(lives_.size());
  if (free_slots_.empty()) {
    lives_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  Life& life = lives_[static_cast<size_t>(slot)];
  life.outcome = arriving.outcome;
  life.preempted_tokens = 0;
  life.times = {.replica = index_,
                .id = request.id,
                .name = std::move(arriving.name),
                .arrival_ns = request.arrival_ns,
                .queued_ns = now_ns,
                .prompt_tokens = request.num_prompt_tokens,
                .max_tokens = request.max_tokens,
                .priority = request.priority,
                .skip_reading_prefix_cache = request.skip_reading_prefix_cache};
  if (wants_hashes_) life.times.block_hashes = request.block_hashes;
  by_id_.insert(slot,
                [this](int32_t s) { return hash_id(lives_[static_cast<size_t>(s)].times.id); });
  applied_.push_back({records::StepInput::Kind::kArrive, request.id, now_ns});
  scheduler_.add(std::move(request));
}

void Replica::hang_up(scheduler::RequestId id, int64_t now_ns) {
  const int32_t slot = slot_of(id);
  if (slot == scheduler::FlatIndex::kNone) return;  // it was faster
  Life& life = lives_[static_cast<size_t>(slot)];
  const int32_t tokens = scheduler_.num_tokens(id);
  life.times.completion_tokens = tokens - life.times.prompt_tokens;
  // The last token is that of the step that has just ended, unless a preemption came after it.
  if (life.times.first_token_ns) {
    const bool waits = tokens == life.preempted_tokens;
    life.times.last_token_ns = waits ? life.preempted_last_token_ns : last_end_ns_;
  }
  applied_.push_back({records::StepInput::Kind::kAbort, id, now_ns});
  scheduler_.abort(id);
  finish(slot, records::Outcome::kAbort, now_ns);
}

/// One pass over the plan: tokens to give back, first tokens, and what only some requests need.
void Replica::note_plan(const scheduler::StepPlan& plan, int64_t now_ns) {
  sampled_.clear();
  first_tokens_.clear();
  for (const scheduler::RequestId id : plan.preempted) {
    Life& life = lives_[static_cast<size_t>(slot_of(id))];
    life.times.preemptions += 1;
    const int32_t tokens = scheduler_.num_tokens(id);
    if (tokens > life.preempted_tokens) life.preempted_last_token_ns = last_end_ns_;
    life.preempted_tokens = tokens;
  }
  for (const scheduler::ScheduledRequest& r : plan.scheduled) {
    if (r.samples_token) sampled_.push_back({r.id, 0, false});
    const bool first_token =
        r.samples_token && r.num_computed_tokens + r.num_scheduled_tokens == r.num_prompt_tokens;
    if (!first_token && !r.first_schedule) continue;
    const int32_t slot = slot_of(r.id);
    RequestTimes& times = lives_[static_cast<size_t>(slot)].times;
    if (r.first_schedule) {
      times.first_scheduled_ns = now_ns;
      times.cached_tokens = r.num_cached_tokens;
    }
    if (first_token) first_tokens_.push_back(slot);
  }
}

void Replica::finish(int32_t slot, records::Outcome outcome, int64_t now_ns) {
  RequestTimes& times = lives_[static_cast<size_t>(slot)].times;
  times.outcome = outcome;
  times.finished_ns = now_ns;
  observer_.on_request(times);
  ended_.push_back(times.id);
  by_id_.erase(slot,
               [this](int32_t s) { return hash_id(lives_[static_cast<size_t>(s)].times.id); });
  free_slots_.push_back(slot);
}

std::span<const scheduler::RequestId> Replica::take_ended() {
  taken_.swap(ended_);
  ended_.clear();
  return taken_;
}

int32_t Replica::slot_of(scheduler::RequestId id) const {
  return by_id_.find(hash_id(id),
                     [&](int32_t s) { return lives_[static_cast<size_t>(s)].times.id == id; });
}

}  // namespace touchstone::simulator
