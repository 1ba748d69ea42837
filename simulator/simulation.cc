#include "simulator/simulation.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "simulator/kernel/event_queue.h"

namespace touchstone::simulator {
namespace {

double seconds(int64_t ns) { return static_cast<double>(ns) / static_cast<double>(kNsPerSecond); }

Status check_request(const SimulatedRequest& r, const scheduler::Config& config) {
  const scheduler::NewRequest& request = r.request;
  const std::string who = "request " + r.name;
  if (request.num_prompt_tokens < 1 || request.num_prompt_tokens >= config.max_model_len) {
    return invalid_argument(who + ": got a prompt of " + std::to_string(request.num_prompt_tokens) +
                                " tokens, expected 1 to " +
                                std::to_string(config.max_model_len - 1),
                            "max_model_len is " + std::to_string(config.max_model_len));
  }
  if (request.max_tokens < 1) {
    return invalid_argument(who + ": got " + std::to_string(request.max_tokens) +
                            " output tokens, expected at least 1");
  }
  return {};
}

/// Holds the one request that comes next.
class Simulation final {
 public:
  Simulation(const scheduler::Config& config, RequestSource& source, StepTimeModel& model,
             Observer& observer)
      : config_(config), source_(source), replica_(config, model, observer) {}

  Result<SimulationEnd> run() {
    RETURN_IF_ERROR(fetch());
    while (!events_.empty()) {
      const Event event = events_.pop();
      switch (event.kind) {
        case EventKind::kStepEnd:
          replica_.end_step(event.time_ns);
          plan_start();
          break;
        case EventKind::kAbort:
          replica_.abort(event.subject);
          plan_start();
          break;
        case EventKind::kArrival:
          if (next_.abort_ns) {
            events_.push(std::max(event.time_ns, *next_.abort_ns), EventKind::kAbort,
                         event.subject);
          }
          replica_.arrive(std::move(next_));
          RETURN_IF_ERROR(fetch());
          plan_start();
          break;
        case EventKind::kStepStart:
          start_planned_ = false;
          if (const auto end_ns = replica_.start_step(event.time_ns)) {
            events_.push(*end_ns, EventKind::kStepEnd, event.subject);
          }
          break;
      }
    }
    return SimulationEnd{events_.events(), events_.fingerprint(), events_.now_ns(),
                         replica_.scheduler().counters()};
  }

 private:
  /// Gets the next request and makes its arrival an event.
  Status fetch() {
    const Result<bool> there = source_.next(next_);
    if (!there) return there.error();
    if (!*there) return {};
    RETURN_IF_ERROR(check_request(next_, config_));
    if (next_.request.arrival_ns < events_.now_ns()) {
      return invalid_argument("request " + next_.name + ": got arrival " +
                                  std::to_string(next_.request.arrival_ns) +
                                  " ns, expected at least " + std::to_string(events_.now_ns()) +
                                  " ns as of the request before",
                              "sort the requests by arrival");
    }
    events_.push(next_.request.arrival_ns, EventKind::kArrival, next_.request.id);
    return {};
  }

  /// At the step boundary that is now, once.
  void plan_start() {
    if (replica_.stepping() || start_planned_ || !replica_.has_work()) return;
    start_planned_ = true;
    events_.push(events_.now_ns(), EventKind::kStepStart, 0);
  }

  const scheduler::Config& config_;
  RequestSource& source_;
  Replica replica_;
  EventQueue events_;
  SimulatedRequest next_;
  bool start_planned_ = false;
};

}  // namespace

Result<SimulationEnd> run_simulation(const scheduler::Config& config, RequestSource& source,
                                     StepTimeModel& model, Observer& observer) {
  RETURN_IF_ERROR(scheduler::validate(config));
  return Simulation(config, source, model, observer).run();
}

void Summary::on_step(const StepView& step) {
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

void Summary::on_request(const RequestTimes& r) {
  prompt_tokens += r.prompt_tokens;
  cached_tokens += r.cached_tokens;
  completion_tokens += r.completion_tokens;
  first_arrival_ns = std::min(first_arrival_ns.value_or(r.arrival_ns), r.arrival_ns);
  last_finish_ns = std::max(last_finish_ns, r.finished_ns);
  const bool aborted_one = r.outcome == records::Outcome::kAbort;
  ++(aborted_one ? aborted : completed);
  if (r.first_scheduled_ns) queue_s.push_back(seconds(*r.first_scheduled_ns - r.arrival_ns));
  if (r.first_token_ns) ttft_s.push_back(seconds(*r.first_token_ns - r.arrival_ns));
  if (aborted_one) return;
  e2e_s.push_back(seconds(r.finished_ns - r.arrival_ns));
  if (r.completion_tokens > 1 && r.first_token_ns && r.last_token_ns) {
    tpot_s.push_back(seconds(*r.last_token_ns - *r.first_token_ns) /
                     static_cast<double>(r.completion_tokens - 1));
  }
}

}  // namespace touchstone::simulator
