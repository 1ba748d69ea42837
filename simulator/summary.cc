#include "simulator/summary.h"

#include <algorithm>

#include "base/clock.h"

namespace touchstone::simulator {
void Summary::on_step(const StepView& step) {
  extrapolated_steps += step.extrapolated ? 1 : 0;
  count_step(step.duration_ns, std::ssize(step.plan.preempted), step.state);
}

void Summary::add_step(const records::StepRecord& step, int64_t total) {
  count_step(step.duration_ns, std::ssize(step.preempted),
             {.running = step.running,
              .waiting = step.waiting,
              .free_blocks = step.free_blocks,
              .cached_blocks = step.cached_blocks,
              .total_blocks = total});
}

void Summary::count_step(int64_t duration_ns, int64_t preempted, const scheduler::State& state) {
  ++steps;
  busy_ns += duration_ns;
  preemptions += preempted;
  peak_running = std::max(peak_running, state.running);
  peak_waiting = std::max(peak_waiting, state.waiting);
  total_blocks = state.total_blocks;
  peak_used_blocks = std::max(peak_used_blocks, state.total_blocks - state.free_blocks);
}

void Summary::on_request(int32_t, const records::RequestRecord& request) {
  count_request(request);
  add_latencies(request);
}

void Summary::count_request(const records::RequestRecord& r) {
  prompt_tokens += r.prompt_tokens;
  cached_tokens += r.cached_tokens;
  completion_tokens += r.completion_tokens;
  first_arrival_ns = std::min(first_arrival_ns.value_or(r.arrival_ns), r.arrival_ns);
  last_finish_ns = std::max(last_finish_ns, r.finished_ns);
  ++(r.outcome == records::Outcome::kAbort ? aborted : completed);
}

void Summary::add_latencies(const records::RequestRecord& r) {
  if (r.first_scheduled_ns) {
    wait_s.add(to_seconds(*r.first_scheduled_ns - r.arrival_ns));
    queue_s.add(to_seconds(*r.first_scheduled_ns - *r.queued_ns));
  }
  if (r.first_token_ns) ttft_s.add(to_seconds(*r.first_token_ns - r.arrival_ns));
  if (r.outcome == records::Outcome::kAbort) return;
  e2e_s.add(to_seconds(r.finished_ns - r.arrival_ns));
  if (r.completion_tokens > 1 && r.first_token_ns && r.last_token_ns) {
    tpot_s.add(to_seconds(*r.last_token_ns - *r.first_token_ns) /
               static_cast<double>(r.completion_tokens - 1));
  }
}

void Summary::merge(const Summary& other) {
  for (int64_t Summary::*sum :
       {&Summary::steps, &Summary::extrapolated_steps, &Summary::busy_ns, &Summary::preemptions,
        &Summary::completed, &Summary::aborted, &Summary::prompt_tokens, &Summary::cached_tokens,
        &Summary::completion_tokens, &Summary::refused, &Summary::gave_up, &Summary::crashed}) {
    this->*sum += other.*sum;
  }
  for (int64_t Summary::*peak :
       {&Summary::peak_running, &Summary::peak_waiting, &Summary::peak_used_blocks,
        &Summary::total_blocks, &Summary::last_finish_ns}) {
    this->*peak = std::max(this->*peak, other.*peak);
  }
  if (other.first_arrival_ns) {
    first_arrival_ns =
        std::min(first_arrival_ns.value_or(*other.first_arrival_ns), *other.first_arrival_ns);
  }
}

void ClusterSummary::on_lost(const SimulatedRequest&, Loss loss, int64_t) {
  ++(loss == Loss::kRefused  ? whole_.refused
     : loss == Loss::kGaveUp ? whole_.gave_up
                             : whole_.crashed);
}

Summary ClusterSummary::total() const {
  Summary total = whole_;
  for (const Summary& replica : replicas_) total.merge(replica);
  return total;
}

}  // namespace touchstone::simulator
