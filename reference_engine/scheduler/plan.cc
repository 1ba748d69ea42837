// schedule(): first the running requests, then the waiting ones, within one budget of tokens.
#include <algorithm>

#include "base/check.h"
#include "reference_engine/scheduler/scheduler_impl.h"

namespace touchstone::scheduler {
namespace {

/// The token that a plan in flight yields is certain to be its last.
bool surely_ends(const Request& request) {
  return request.num_output_placeholders > 0 &&
         request.num_output_tokens() + request.num_output_placeholders >=
             std::max(request.max_tokens, request.min_tokens);
}

}  // namespace

const StepPlan& Scheduler::Impl::schedule() {
  BASE_CHECK(num_in_flight_ < (config_.async_scheduling ? 2 : 1),
             "complete() must follow the plan of step ", plans_[oldest_].step.step);
  Plan& plan = plans_[(oldest_ + num_in_flight_) % plans_.size()];
  open_ = &plan;
  plan.step.scheduled.clear();
  plan.step.preempted.clear();
  plan.planned.clear();
  size_t preempted_before;
  int32_t budget;
  do {
    preempted_before = preempted_.size();
    budget = config_.max_num_batched_tokens;
    waits_for_blocks_ = false;
    schedule_running(budget);
    if (preempted_.size() == preempted_before && !waits_for_blocks_) admit_waiting(budget);
    // A pass that did nothing but preempt is a step without work: the next one follows at once,
    // unless a plan in flight must give its blocks back first.
  } while (plan.step.scheduled.empty() && preempted_.size() > preempted_before &&
           num_in_flight_ == 0);
  BASE_CHECK(budget >= 0, "INV-6: ", budget, " tokens are left of the step's");
  commit(plan, config_.max_num_batched_tokens - budget);
  return plan.step;
}

void Scheduler::Impl::commit(Plan& plan, int32_t total_tokens) {
  plan.step.step = steps_;
  plan.step.total_tokens = total_tokens;
  if (plan.step.scheduled.empty()) return;
  plan.step.preempted.swap(preempted_);
  ++steps_;
  ++num_in_flight_;
}

void Scheduler::Impl::schedule_running(int32_t& budget) {
  for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
    Request& request = *running_[i];
    if (surely_ends(request)) continue;
    const int32_t computed = request.num_computed_tokens;
    int32_t want = request.num_tokens + request.num_output_placeholders - computed;
    if (config_.long_prefill_token_threshold > 0) {
      want = std::min(want, config_.long_prefill_token_threshold);
    }
    want = std::min({want, budget, config_.max_model_len - computed - 1});
    if (want <= 0) continue;  // the plan in flight brings it to the model's length
    kv_.leave_window(request);
    const int32_t reached = computed + want;
    if (!kv_.grow(request, reached) && !make_room(i, reached, budget)) return;
    plan_request(request, want, budget);
  }
}

/// Gives running_[index] blocks for `num_tokens` tokens, preempting others while it must. False:
/// it was its own victim, or waits for blocks that a plan in flight holds. Preemption moves `index`
/// when somebody before it is gone.
bool Scheduler::Impl::make_room(size_t& index, int32_t num_tokens, int32_t& budget) {
  Request* const request = running_[index];
  while (!kv_.grow(*request, num_tokens)) {
    if (!releases_due_.empty()) {
      waits_for_blocks_ = true;
      return false;
    }
    const size_t victim_index = policy_->choose_victim(running_);
    const Request* const victim = running_[victim_index];
    preempt(victim_index, index, budget);
    if (victim == request) return false;
  }
  return true;
}

void Scheduler::Impl::preempt(size_t victim_index, size_t& index, int32_t& budget) {
  Request& victim = *running_[victim_index];
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(victim_index));
  const auto planned = std::find(open_->planned.begin(), open_->planned.end(), &victim);
  if (planned != open_->planned.end()) {
    // It gives its share of this step back. What that share would have filled was not computed, so
    // nobody may find it (vLLM 0.32 leaves these hashes in place).
    std::vector<ScheduledRequest>& scheduled = open_->step.scheduled;
    const auto entry = scheduled.begin() + (planned - open_->planned.begin());
    budget += entry->num_scheduled_tokens;
    victim.num_tokens_in_flight -= entry->num_scheduled_tokens;
    victim.num_output_placeholders -= entry->samples_token ? 1 : 0;
    --victim.plans_in_flight;
    kv_.uncache_after(victim, entry->num_computed_tokens);
    scheduled.erase(entry);
    open_->planned.erase(planned);
  }
  if (victim_index < index) --index;
  wait_again(victim);
}

/// The rest of preempting a request that was taken out of running_.
void Scheduler::Impl::wait_again(Request& victim) {
  stop_running(victim);
  victim.num_computed_tokens = 0;
  victim.status = Request::Status::kPreempted;
  give_blocks_back(victim);
  policy_->push_ahead(victim);
  preempted_.push_back(victim.id);
  ++counters_.preemptions;
}

/// Not ready, or its adapter finds no slot: others may go first.
bool Scheduler::Impl::may_be_admitted(const Request& request) const {
  if (!request.ready) return false;
  if (request.adapter == 0) return true;
  const auto same = [&](const RunningAdapter& a) { return a.adapter == request.adapter; };
  return running_adapters_.size() < static_cast<size_t>(config_.max_loras) ||
         std::any_of(running_adapters_.begin(), running_adapters_.end(), same);
}

void Scheduler::Impl::admit_waiting(int32_t& budget) {
  const size_t most = static_cast<size_t>(config_.max_num_seqs);
  passed_over_.clear();
  while (budget > 0 && running_.size() < most) {
    Request* const request = policy_->head();
    if (request == nullptr || kv_.pool().free() == 0) break;  // a hit needs a new block too
    const bool may = may_be_admitted(*request);
    set_deferred(*request, !may);
    if (may && !admit_head(*request, budget)) break;  // nobody overtakes a head that does not fit
    if (!may) {
      policy_->remove(*request);
      passed_over_.push_back(request);
    }
  }
  for (size_t i = passed_over_.size(); i > 0; --i) policy_->push_ahead(*passed_over_[i - 1]);
}

/// False, with nothing changed, when it does not fit into the budget or the pool.
bool Scheduler::Impl::admit_head(Request& request, int32_t& budget) {
  const int32_t cached = kv_.find_prefix(request);
  const int32_t external =
      external_ == nullptr ? 0 : kv_.find_external(request, cached, *external_);
  int32_t want = request.num_tokens - cached - external;
  if (config_.long_prefill_token_threshold > 0) {
    want = std::min(want, config_.long_prefill_token_threshold);
  }
  if (!config_.enable_chunked_prefill && want > budget) return false;
  want = std::min(want, budget);
  const int64_t watermark = running_.empty() ? 0 : config_.watermark_blocks;
  if (!kv_.admit(request, external + want, watermark)) return false;

  policy_->remove(request);
  start_running(request);
  request.num_computed_tokens = cached + external;
  ScheduledRequest& entry = plan_request(request, want, budget);
  entry.num_cached_tokens = cached;
  entry.num_external_tokens = external;
  counters_.external_tokens += external;
  entry.first_schedule = !request.admitted_before;
  entry.resumed = request.status == Request::Status::kPreempted;
  request.status = Request::Status::kRunning;
  if (!request.admitted_before && config_.enable_prefix_caching &&
      !request.skip_reading_prefix_cache) {
    counters_.prefix_cache_queries += request.num_tokens;
    counters_.prefix_cache_hits += cached;
  }
  request.admitted_before = true;
  return true;
}

ScheduledRequest& Scheduler::Impl::plan_request(Request& request, int32_t num_tokens,
                                                int32_t& budget) {
  const int32_t computed = request.num_computed_tokens;
  const int32_t reached = computed + num_tokens;
  const bool samples = reached == request.num_tokens + request.num_output_placeholders;
  // A placeholder is no content that others could look for.
  kv_.cache_full_blocks(request, std::min(reached, request.num_tokens));
  budget -= num_tokens;
  open_->planned.push_back(&request);
  ScheduledRequest& entry = open_->step.scheduled.emplace_back();  // filled in place: it is hot
  entry.id = request.id;
  entry.num_computed_tokens = computed;
  entry.num_scheduled_tokens = num_tokens;
  entry.num_prompt_tokens = request.num_prompt_tokens;
  entry.samples_token = samples;
  entry.ends_in_placeholder = reached > request.num_tokens;
  entry.adapter = request.adapter;
  entry.block_table = request.blocks;
  request.num_computed_tokens = reached;
  request.num_tokens_in_flight += num_tokens;
  request.num_output_placeholders += samples ? 1 : 0;
  ++request.plans_in_flight;
  return entry;
}

}  // namespace touchstone::scheduler
