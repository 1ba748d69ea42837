#include "simulator/cluster/replica.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace touchstone::simulator {
namespace {

/// As vLLM calls it. The requests of a measured run have such a name already.
std::string request_id_of(std::string&& name) {
  const bool has_prefix = name.starts_with("cmpl-") || name.starts_with("chatcmpl-");
  return has_prefix ? std::move(name) : "cmpl-" + name;
}

}  // namespace

Replica::Replica(int32_t index, const ReplicaOptions& options, uint64_t seed, Observer& observer)
    : index_(index),
      adapter_load_ns_(options.adapter_load_ns),
      host_(options.offload),
      scheduler_(options.config,
                 options.offload || options.role == Role::kDecode ? &host_ : nullptr),
      model_(options.model),
      validity_(options.model.validity()),
      noise_(seed, "step times of replica " + std::to_string(index)),
      observer_(observer),
      wants_stats_(observer.wants_stats()),
      lives_({.block_size = options.config.block_size,
              .block_hashes = observer.wants_hashes(),
              .statistics = wants_stats_}) {}

void Replica::arrive(SimulatedRequest&& request) {
  const scheduler::RequestId id = request.request.id;
  inputs_.push_back({records::StepInput::Kind::kArrive, id, std::move(request)});
}

void Replica::abort(scheduler::RequestId id) {
  inputs_.push_back({records::StepInput::Kind::kAbort, id, {}});
}

bool Replica::may_plan(int64_t now_ns) const {
  if (!scheduler_.has_requests() && inputs_.empty()) return false;
  const int in_flight = scheduler_.plans_in_flight();
  return in_flight == 0 ||
         (scheduler_.config().async_scheduling && in_flight == 1 && now_ns == may_look_at_ns_);
}

bool Replica::plan_step(int64_t now_ns) {
  BASE_CHECK(may_plan(now_ns), "at ", now_ns);
  may_look_at_ns_ = -1;
  apply_inputs(now_ns);
  const int in_flight = scheduler_.plans_in_flight();
  if (!scheduler_.has_requests()) {
    if (in_flight == 0) tell_stats();
    return false;
  }
  const scheduler::StepPlan& plan = scheduler_.schedule();
  if (plan.scheduled.empty()) {
    BASE_CHECK(in_flight > 0, "INV-4: requests wait and nothing runs");
    return false;
  }
  may_look_at_ns_ = now_ns;
  state_ = scheduler_.state();
  lives_.planned(plan, now_ns);
  const StepFeatures features = features_of(plan);
  Flight& planned = flight(in_flight);
  planned.plan = &plan;
  planned.state = state_;
  planned.planned_ns = now_ns;
  planned.duration_ns = model_.duration_ns(features, noise_);
  planned.duration_ns += std::min(fetch_ns(plan), INT64_MAX - planned.duration_ns);
  planned.extrapolated = !validity_.contains(features);
  planned.inputs.swap(applied_);
  applied_.clear();
  BASE_CHECK(planned.duration_ns >= 1, "step ", plan.step, " takes ", planned.duration_ns, " ns");
  return true;
}

/// What the step waits for before it can compute: blocks of the host, adapters.
int64_t Replica::fetch_ns(const scheduler::StepPlan& plan) {
  int64_t wait_ns = 0;
  const auto add = [&wait_ns](int64_t ns) { wait_ns += std::min(ns, INT64_MAX - wait_ns); };
  for (const scheduler::ScheduledRequest& r : plan.scheduled) {
    if (r.num_external_tokens > 0) add(host_.fetch_ns(r));
    if (r.first_schedule) host_.forget(r.id);
    if (r.adapter > 0 && adapter_load_ns_ > 0) add(load_adapter_ns(r.adapter));
  }
  return wait_ns;
}

int64_t Replica::load_adapter_ns(int32_t adapter) {
  const bool loaded = std::erase(loaded_adapters_, adapter) > 0;
  loaded_adapters_.push_back(adapter);
  if (std::ssize(loaded_adapters_) > scheduler_.config().max_loras) {
    loaded_adapters_.erase(loaded_adapters_.begin());
  }
  return loaded ? 0 : adapter_load_ns_;
}

void Replica::store_filled_blocks(const scheduler::StepPlan& plan) {
  const int32_t block_size = scheduler_.config().block_size;
  for (const scheduler::ScheduledRequest& r : plan.scheduled) {
    const auto from = static_cast<size_t>(r.num_computed_tokens / block_size);
    const auto to =
        static_cast<size_t>((r.num_computed_tokens + r.num_scheduled_tokens) / block_size);
    if (from == to || !lives_.knows(r.id)) continue;
    const std::span<const scheduler::BlockHash> hashes = scheduler_.block_hashes(r.id);
    if (from < hashes.size()) {
      host_.store(hashes.subspan(from, std::min(to, hashes.size()) - from));
    }
  }
}

std::optional<int64_t> Replica::start_step(int64_t now_ns) {
  if (stepping_ || scheduler_.plans_in_flight() == 0) return std::nullopt;
  stepping_ = true;
  flight(0).start_ns = now_ns;
  return flight(0).duration_ns;
}

void Replica::end_step(int64_t now_ns) {
  const Flight& ended = flight(0);
  BASE_CHECK(stepping_ && now_ns > ended.start_ns);
  stepping_ = false;
  may_look_at_ns_ = now_ns;
  oldest_ = 1 - oldest_;
  if (host_.stores()) store_filled_blocks(*ended.plan);
  sampled_.clear();
  for (const scheduler::ScheduledRequest& r : ended.plan->scheduled) {
    if (r.samples_token) sampled_.push_back({r.id, 0, false});
  }
  const std::span<const scheduler::FinishedRequest> finished = scheduler_.complete(sampled_);
  lives_.computed(*ended.plan, now_ns);
  if (scheduler_.config().async_scheduling) {
    applied_.push_back(
        {records::StepInput::Kind::kComplete, static_cast<uint64_t>(ended.plan->step), now_ns});
  }
  observer_.on_step({.replica = index_,
                     .plan = *ended.plan,
                     .state = ended.state,
                     .planned_ns = ended.planned_ns,
                     .start_ns = ended.start_ns,
                     .duration_ns = now_ns - ended.start_ns,
                     .extrapolated = ended.extrapolated,
                     .inputs = ended.inputs,
                     .finished = finished});
  for (const scheduler::FinishedRequest& f : finished) {
    finish(f.id, lives_.record(f.id).outcome, now_ns, f.block_hashes);
  }
  tell_stats();
}

void Replica::tell_stats() {
  if (wants_stats_) observer_.on_stats(index_, lives_.take_stats(scheduler_));
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
  records::RequestRecord record;
  record.id = request.id;
  record.request_id = request_id_of(std::move(arriving.name));
  record.endpoint = "/v1/completions";
  record.model = kSimulatedModel;
  record.arrival_unix_ns = kEpochUnixNs + request.arrival_ns;
  record.arrival_ns = request.arrival_ns;
  record.prompt_tokens = request.num_prompt_tokens;
  record.max_tokens = request.max_tokens;
  record.top_p = 1;  // as a request that says nothing
  record.ignore_eos = true;
  record.priority = request.priority;
  record.skip_reading_prefix_cache = request.skip_reading_prefix_cache;
  record.adapter = arriving.adapter;
  record.outcome = arriving.outcome;  // how it will end, unless it is aborted before
  if (arriving.prefill_only) prefill_only_.insert(request.id);
  if (arriving.prefilled_by) host_.deliver(request.id, request.num_prompt_tokens);
  lives_.arrive(std::move(record), now_ns);
  applied_.push_back({records::StepInput::Kind::kArrive, request.id, now_ns});
  const Status added = scheduler_.add(std::move(request));
  BASE_CHECK(added.has_value(), added.error().message);  // the simulation checked it
}

void Replica::hang_up(scheduler::RequestId id, int64_t now_ns) {
  if (!lives_.knows(id)) return;  // it was faster
  applied_.push_back({records::StepInput::Kind::kAbort, id, now_ns});
  finish(id, records::Outcome::kAbort, now_ns, scheduler_.block_hashes(id));
  scheduler_.abort(id);
}

void Replica::finish(scheduler::RequestId id, records::Outcome outcome, int64_t now_ns,
                     std::span<const scheduler::BlockHash> hashes) {
  const bool aborted = outcome == records::Outcome::kAbort;
  const records::RequestRecord& record = lives_.finish(id, {.outcome = outcome}, now_ns, hashes);
  host_.forget(id);
  if (prefill_only_.erase(id) > 0 && !aborted) {
    observer_.on_prefilled(index_, record);
  } else {
    observer_.on_request(index_, record);
  }
  ended_.push_back({id, aborted});
}

std::span<const Replica::Ended> Replica::take_ended() {
  taken_.swap(ended_);
  ended_.clear();
  return taken_;
}

}  // namespace touchstone::simulator
