#include "simulator/replay.h"

#include <algorithm>
#include <deque>
#include <map>
#include <span>
#include <tuple>
#include <utility>

#include "reference_engine/lifecycle/request_lives.h"
#include "reference_engine/lifecycle/schedule_log.h"
#include "reference_engine/scheduler/scheduler.h"
#include "simulator/logs.h"
#include "simulator/sources.h"

namespace touchstone::simulator {
namespace {

using records::RequestRecord;
using records::StepRecord;

/// What a request had from elsewhere when it was admitted, as the log has it.
class LoggedKv final : public scheduler::ExternalKv {
 public:
  void at(const records::StepRecord& step) { step_ = &step; }
  int32_t delivered(scheduler::RequestId id) override {
    if (step_ == nullptr) return 0;
    const auto entry = std::find_if(step_->requests.begin(), step_->requests.end(),
                                    [id](const records::StepEntry& e) { return e.id == id; });
    return entry == step_->requests.end() ? 0 : static_cast<int32_t>(entry->computed);
  }
  bool holds(const scheduler::BlockHash&) override { return false; }

 private:
  const records::StepRecord* step_ = nullptr;  // that is planned
};

class Replayer final {
 public:
  Replayer(const scheduler::Config& config, bool external_kv,
           const std::vector<records::RequestRecord>& records)
      : config_(config),
        scheduler_(config, external_kv ? &kv_ : nullptr),
        lives_({.block_size = config.block_size}) {
    for (const records::RequestRecord& record : records) records_[record.id] = &record;
  }

  Result<Replay> run(const records::StepLog& log) {
    for (const records::StepRecord& logged : log.steps) {
      RETURN_IF_ERROR(apply_inputs(logged));
      if (!replay_.difference && !logged.requests.empty()) RETURN_IF_ERROR(plan_step(logged));
      if (!config_.async_scheduling) complete_steps();
      if (replay_.difference) break;
    }
    complete_steps();  // no step was planned after them
    replay_.counters = scheduler_.counters();
    return std::move(replay_);
  }

 private:
  Status apply_inputs(const records::StepRecord& logged) {
    for (const records::StepInput& input : logged.inputs) {
      if (input.kind == records::StepInput::Kind::kAbort) {
        hang_up(input);
        continue;
      }
      if (input.kind == records::StepInput::Kind::kComplete) {
        RETURN_IF_ERROR(complete_logged(input, logged.step));
        if (replay_.difference) break;
        continue;
      }
      if (input.kind == records::StepInput::Kind::kResetPrefixCache) {
        using enum scheduler::Scheduler::Running;
        scheduler_.reset_prefix_cache(input.id == 0 ? kKeep : kPreempt);
        continue;
      }
      const auto record = records_.find(input.id);
      if (record == records_.end()) {
        return invalid_argument("records.jsonl: got no record of request " +
                                    std::to_string(input.id) + ", which arrived before step " +
                                    std::to_string(logged.step),
                                "do both files come from one run that has ended?");
      }
      RETURN_IF_ERROR(arrive(*record->second, input.time_ns));
    }
    return {};
  }

  Status arrive(const records::RequestRecord& record, int64_t time_ns) {
    const std::string who = "records.jsonl: request " + std::to_string(record.id);
    if (record.prompt_tokens < 1 || record.prompt_tokens >= config_.max_model_len) {
      return invalid_argument(who + ": prompt_tokens: got " + std::to_string(record.prompt_tokens) +
                              ", expected 1 to " + std::to_string(config_.max_model_len - 1));
    }
    if (lives_.knows(record.id)) return invalid_argument(who + ": got two arrivals of it");
    auto hashes = parse_block_hashes(record);
    if (!hashes) return std::move(hashes).error().with_context("records.jsonl");
    const int64_t room = config_.max_model_len - record.prompt_tokens;
    Status added = scheduler_.add(
        {.id = record.id,
         .arrival_ns = record.arrival_ns,
         .priority = record.priority,
         .num_prompt_tokens = static_cast<int32_t>(record.prompt_tokens),
         .max_tokens = static_cast<int32_t>(std::clamp<int64_t>(
             record.max_tokens.value_or(config_.max_model_len), 1, config_.max_model_len)),
         .min_tokens =
             static_cast<int32_t>(std::clamp<int64_t>(record.min_tokens.value_or(0), 0, room)),
         .ignore_eos = true,
         .block_hashes = std::move(*hashes),
         .skip_reading_prefix_cache = record.skip_reading_prefix_cache});
    if (!added) return std::move(added).error().with_context("records.jsonl");
    records::RequestRecord known = record;
    known.first_scheduled_ns = known.first_token_ns = known.last_token_ns = std::nullopt;
    known.cached_tokens = known.completion_tokens = known.preemptions = 0;
    lives_.arrive(std::move(known), time_ns);
    return {};
  }

  void hang_up(const records::StepInput& input) {
    if (!scheduler_.abort(input.id)) return;  // it was faster
    finish(input.id, records::Outcome::kAbort, input.time_ns);
  }

  void finish(uint64_t id, records::Outcome outcome, int64_t time_ns) {
    replay_.requests.push_back(lives_.finish(id, {.outcome = outcome}, time_ns, {}));
  }

  Status plan_step(const records::StepRecord& logged) {
    if (flights_.size() == 2) {
      return invalid_argument("steps.jsonl: step " + std::to_string(logged.step) +
                              ": inputs: got no completion of step " +
                              std::to_string(flights_.front().ours.step) +
                              ", expected it before a third step is planned");
    }
    kv_.at(logged);
    const scheduler::StepPlan& plan = scheduler_.schedule();
    records::StepRecord ours = step_record({.plan = plan,
                                            .state = scheduler_.state(),
                                            .planned_ns = logged.planned_ns,
                                            .start_ns = logged.start_ns,
                                            .duration_ns = logged.duration_ns,
                                            .inputs = logged.inputs,
                                            .finished = {}});
    replay_.difference = records::plan_difference(logged, ours);
    if (replay_.difference) return {};  // ids may be unknown from here on
    lives_.planned(plan, logged.planned_ns);
    flights_.push_back({&logged, &plan, std::move(ours)});
    return {};
  }

  /// One that the log has among the inputs of a later step, as with asynchronous scheduling.
  Status complete_logged(const records::StepInput& input, int64_t before_step) {
    const bool expected = config_.async_scheduling && !flights_.empty() &&
                          static_cast<uint64_t>(flights_.front().ours.step) == input.id;
    if (!expected) {
      return invalid_argument("steps.jsonl: step " + std::to_string(before_step) +
                              ": inputs: got the completion of step " + std::to_string(input.id) +
                              ", which is not the oldest in flight");
    }
    if (flights_.size() == 1 && scheduler_.has_requests()) {
      // There was room for another plan, so the engine tried.
      records::StepRecord ours;
      lifecycle::add_plan(scheduler_.schedule(), {}, ours);
      if (!ours.requests.empty()) {
        replay_.difference = records::ScheduleDifference{
            before_step, std::nullopt, "scheduled requests", records::join_ids({}),
            records::join_ids(records::scheduled_ids(ours))};
        return {};
      }
    }
    complete_oldest();
    return {};
  }

  void complete_steps() {
    while (!flights_.empty() && !replay_.difference) complete_oldest();
  }

  void complete_oldest() {
    Flight flight = std::move(flights_.front());
    flights_.pop_front();
    const records::StepRecord& logged = *flight.logged;
    const int64_t end_ns = logged.start_ns + logged.duration_ns;
    lives_.computed(*flight.plan, end_ns);
    note_tokens(*flight.plan);
    const std::span<const scheduler::FinishedRequest> finished = scheduler_.complete(sampled_);
    lifecycle::add_finished(finished, flight.ours);
    for (const scheduler::FinishedRequest& f : finished) {
      finish(f.id, lifecycle::outcome_of(f.reason), end_ns);
    }
    replay_.difference = records::finish_difference(logged, flight.ours);
    replay_.steps.push_back(std::move(flight.ours));
  }

  /// Which tokens end a request is known from its record only: the scheduler has no text.
  void note_tokens(const scheduler::StepPlan& plan) {
    sampled_.clear();
    for (const scheduler::ScheduledRequest& r : plan.scheduled) {
      if (!r.samples_token || !lives_.knows(r.id)) continue;  // it was over before this step was
      const records::RequestRecord& logged = *records_.at(r.id);
      const bool stops = logged.outcome == records::Outcome::kStop &&
                         lives_.record(r.id).completion_tokens == logged.completion_tokens;
      sampled_.push_back({r.id, 0, stops});
    }
  }

  struct Flight {
    const records::StepRecord* logged;
    const scheduler::StepPlan* plan;
    records::StepRecord ours;
  };

  const scheduler::Config config_;
  LoggedKv kv_;
  scheduler::Scheduler scheduler_;
  std::map<uint64_t, const records::RequestRecord*> records_;
  lifecycle::RequestLives lives_;
  std::deque<Flight> flights_;  // the oldest first
  std::vector<scheduler::SampledToken> sampled_;
  Replay replay_;
};

}  // namespace

Result<Replay> replay_step_log(const records::StepLog& log,
                               const std::vector<records::RequestRecord>& records) {
  const Result<scheduler::Config> config = lifecycle::config_of(log.header);
  if (!config) return config.error();
  const bool external_kv = log.header.config.contains(kExternalKv);
  return Replayer(*config, external_kv, records).run(log);
}

}  // namespace touchstone::simulator
