// The engine's steps: what is planned and submitted, and what comes of it.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "reference_engine/engine/engine.h"
#include "reference_engine/engine/sequence.h"
#include "reference_engine/lifecycle/schedule_log.h"

namespace touchstone::engine {

Engine::Flight& Engine::newest() {
  const auto younger = static_cast<size_t>(scheduler_.plans_in_flight() - 1);
  return flights_[(oldest_ + younger) % flights_.size()];
}

/// Plans a step when one may be planned, and takes in what the oldest one in flight yields when
/// there is no other.
Status Engine::step() {
  // What a constrained choice may say next follows from what a plan in flight yields, and a reset
  // of the prefix cache waits for it.
  if (scheduler_.plans_in_flight() > 0 && (any_constrained() || !resets_due_.empty())) {
    return complete_step();
  }
  const int most_in_flight = options_.scheduler.async_scheduling ? 2 : 1;
  if (scheduler_.has_requests()) {
    const Result<bool> planned = plan_step();
    if (!planned) return planned.error();
    if (*planned && scheduler_.plans_in_flight() < most_in_flight && !any_constrained()) return {};
  }
  return scheduler_.plans_in_flight() > 0 ? complete_step() : Status();
}

bool Engine::any_constrained() const {
  return std::ranges::any_of(flights_[oldest_].sequences, [](const Sequence* sequence) {
    return sequence != nullptr && sequence->constrained();
  });
}

/// False: nothing can run before a plan in flight is done.
Result<bool> Engine::plan_step() {
  const int64_t planned_ns = clock_.monotonic_ns();
  const scheduler::StepPlan& plan = scheduler_.schedule();
  if (plan.scheduled.empty()) {
    BASE_CHECK(scheduler_.plans_in_flight() > 0, "requests wait but none can run; free blocks ",
               scheduler_.state().free_blocks);
    return false;
  }
  Flight& flight = newest();
  flight.plan = &plan;
  flight.record = {};
  flight.record.planned_ns = planned_ns;
  flight.record.inputs = std::exchange(inputs_, {});
  RETURN_IF_ERROR(prepare(flight));
  lives_.planned(plan, planned_ns);
  next_step_ = plan.step + 1;
  lifecycle::add_plan(plan, scheduler_.state(), flight.record);
  RETURN_IF_ERROR(backend_.submit({backend_entries_}));
  return true;
}

/// What the backend shall compute.
Status Engine::prepare(Flight& flight) {
  for (const scheduler::RequestId id : flight.plan->preempted) backend_.preempted(id);
  flight.sequences.clear();
  flight.adapter_slots.clear();
  backend_entries_.clear();
  for (const scheduler::ScheduledRequest& scheduled : flight.plan->scheduled) {
    Sequence& sequence = *sequences_.at(scheduled.id);
    flight.sequences.push_back(&sequence);
    if (scheduled.first_schedule) {
      RETURN_IF_ERROR(backend_.begin(sequence.id(), sequence.params(), sequence.prompt_tokens()));
      sequence.set_begun();
      leave_queue(*sequence.answer(), sequence.choice());
      sequence.answer()->num_waiting -= 1;
    }
    fill_bitmask(sequence, scheduled);
    backend_entries_.push_back(sequence.entry(scheduled));
    backend_entries_.back().adapter_slot = adapter_slot(sequence.answer(), flight);
  }
  return {};
}

/// Of a choice whose rules leave no token, or take too long to follow, the answer fails: it is
/// computed once more, without them, and nobody sees what came of it.
void Engine::fill_bitmask(Sequence& sequence, const scheduler::ScheduledRequest& scheduled) {
  const int64_t start_ns = sequence.constrained() ? clock_.monotonic_ns() : 0;
  const bool any_token = sequence.fill_bitmask(scheduled, bitmask_words_);
  if (!sequence.constrained()) return;
  sequence.add_rule_time(clock_.monotonic_ns() - start_ns);
  if (!any_token) {
    fail_answer(sequence.answer(),
                "The structured output's rules leave no token that may come next");
  } else if (sequence.rules_are_too_slow()) {
    fail_answer(sequence.answer(), "The structured output's rules take too long to follow");
  }
}

void Engine::fail_answer(const std::shared_ptr<Answer>& answer, const std::string& why) {
  if (!answer->failure.empty()) return;
  answer->failure = why;
  failed_answers_.push_back(answer);
}

/// The slot of the answer's adapter, held by `flight`. When it cannot be loaded the step is
/// computed all the same, without it, and nobody sees what came of it.
std::optional<int32_t> Engine::adapter_slot(const std::shared_ptr<Answer>& answer, Flight& flight) {
  const auto& adapter = answer->submission.adapter;
  if (adapter == nullptr || !answer->failure.empty()) return std::nullopt;
  const auto slot = adapters_.acquire(*adapter);
  if (!slot) {
    fail_answer(answer, slot.error().message);
    return std::nullopt;
  }
  flight.adapter_slots.push_back(*slot);
  return *slot;
}

Status Engine::complete_step() {
  Flight& flight = flights_[oldest_];
  oldest_ = (oldest_ + 1) % flights_.size();
  RETURN_IF_ERROR(backend_.wait(backend_outputs_));
  for (const int32_t slot : flight.adapter_slots) adapters_.release(slot);
  take_tokens(flight);
  const std::span<const scheduler::FinishedRequest> finished = scheduler_.complete(sampled_);
  const int64_t end_ns = clock_.monotonic_ns();
  records::StepRecord& record = flight.record;
  record.start_ns = std::max(record.planned_ns, last_end_ns_);
  record.duration_ns = end_ns - record.start_ns;
  last_end_ns_ = end_ns;
  if (options_.scheduler.async_scheduling) {
    inputs_.push_back({.kind = records::StepInput::Kind::kComplete,
                       .id = static_cast<uint64_t>(record.step),
                       .time_ns = end_ns});
  }
  lifecycle::add_finished(finished, record);
  lives_.computed(*flight.plan, end_ns);
  const auto answers = collect_outputs(flight, finished);
  end_failed(end_ns);
  observer_.on_step(record);
  report_stats();
  for (const std::shared_ptr<Answer>& answer : answers) {
    answer->submission.sink->deliver(std::exchange(answer->outputs, {}));
    forget_if_done(*answer);
  }
  return {};
}

/// Appends the sampled tokens to their sequences and to their texts. Those of choices that are over
/// meanwhile are dropped.
void Engine::take_tokens(const Flight& flight) {
  sampled_.clear();
  int64_t before_ns = clock_.monotonic_ns();
  for (size_t i = 0; i < flight.sequences.size(); ++i) {
    Sequence* const sequence = flight.sequences[i];
    if (sequence == nullptr) continue;
    const scheduler::ScheduledRequest& scheduled = flight.plan->scheduled[i];
    sequence->keep_prompt_logprobs(scheduled.num_computed_tokens, backend_outputs_, i);
    if (!scheduled.samples_token) continue;
    sampled_.push_back(sequence->add(backend_outputs_.tokens[i]));
    const int64_t now_ns = clock_.monotonic_ns();
    const int64_t took_ns = now_ns - std::exchange(before_ns, now_ns);
    sequence->add_detokenize_time(took_ns);
    if (sequence->constrained()) sequence->add_rule_time(took_ns);
  }
}

/// What each choice has to say now; finishes those that ended. Returns the answers with outputs, in
/// plan order.
std::vector<std::shared_ptr<Answer>> Engine::collect_outputs(
    const Flight& flight, std::span<const scheduler::FinishedRequest> finished) {
  std::vector<std::shared_ptr<Answer>> answers;
  size_t next_finished = 0;
  for (size_t i = 0; i < flight.sequences.size(); ++i) {
    if (flight.sequences[i] == nullptr || !flight.plan->scheduled[i].samples_token) continue;
    Sequence& sequence = *flight.sequences[i];
    const bool ends =
        next_finished < finished.size() && finished[next_finished].id == sequence.id();
    const scheduler::FinishedRequest* const end = ends ? &finished[next_finished++] : nullptr;
    const std::shared_ptr<Answer> answer = sequence.answer();
    if (!answer->failure.empty()) {
      if (end != nullptr)
        finish(sequence, lifecycle::internal_error_end(), clock_.monotonic_ns(), {});
      continue;
    }
    if (answer->outputs.empty()) answers.push_back(answer);
    answer->outputs.push_back(
        sequence.output(static_cast<int32_t>(lives_.record(sequence.id()).cached_tokens),
                        backend_outputs_.sampled_logprobs(i), end));
    if (end == nullptr) continue;
    const std::string stop_reason = end->stop_token && sequence.stop_string().empty()
                                        ? std::to_string(*end->stop_token)
                                        : sequence.stop_string();
    // Its own instant, as in vLLM: siblings that end in one step are told apart by it.
    finish(sequence, {.outcome = lifecycle::outcome_of(end->reason), .stop_reason = stop_reason},
           clock_.monotonic_ns(), end->block_hashes);
  }
  BASE_CHECK(next_finished == finished.size(), "a request finished that was not sampled");
  return answers;
}

/// Tells those whose adapter could not be loaded.
void Engine::end_failed(int64_t now_ns) {
  for (const std::shared_ptr<Answer>& answer : std::exchange(failed_answers_, {})) {
    if (answer->aborted) continue;
    answer->submission.sink->fail(answer->failure);
    end_answer(answer, lifecycle::internal_error_end(), now_ns);
  }
}

void Engine::report_stats() {
  records::StepStats stats = lives_.take_stats(scheduler_);
  for (const std::shared_ptr<Answer>& answer : unstarted_) {
    stats.waiting += answer->num_unstarted();
    if (answer->is_pending()) stats.waiting_deferred += answer->num_unstarted();
  }
  observer_.on_stats(stats);
}

}  // namespace touchstone::engine
