#include "simulator/calibrate/frontend_fit.h"

#include <algorithm>

#include "base/clock.h"
#include "simulator/steptime/least_squares.h"

namespace touchstone::simulator {
namespace {

constexpr double kNsPerS = 1e9;
/// A time between two processes is not known better than this.
constexpr double kFinestNs = 0.2e6;
constexpr size_t kFewest = 10;

/// The step that runs at a time, or null.
const SimulatedStep* step_at(const SimulatedLoad& trial, int64_t time_ns) {
  const auto step = std::upper_bound(
      trial.steps.begin(), trial.steps.end(), time_ns,
      [](int64_t time, const SimulatedStep& candidate) { return time < candidate.end_ns; });
  return step == trial.steps.end() || step->start_ns > time_ns ? nullptr : &*step;
}

/// The step whose end is `end_ns`.
const SimulatedStep* step_ending_at(const SimulatedLoad& trial, int64_t end_ns) {
  const auto step = std::lower_bound(
      trial.steps.begin(), trial.steps.end(), end_ns,
      [](const SimulatedStep& candidate, int64_t time) { return candidate.end_ns < time; });
  return step == trial.steps.end() ? nullptr : &*step;
}

void add_rows(const FitLoad& fit, const SimulatedLoad& trial, LeastSquares& rows) {
  for (size_t i = 0; i < fit.requests; ++i) {
    const MeasuredTimes& m = fit.load->requests[i].times;
    const SimulatedTimes& s = trial.requests[i];
    if (!s.completed || !m.ttft_s || !m.queue_s || !m.prefill_s) continue;
    const double outside_ns = (*m.ttft_s - *m.queue_s - *m.prefill_s) * kNsPerS;
    const auto waited_ns = static_cast<double>(s.queued_ns - s.arrival_ns);
    const SimulatedStep* running = step_at(trial, s.arrival_ns);
    const SimulatedStep* first = step_ending_at(trial, s.first_token_ns);
    // Where in a step it came is chance, and the simulation's steps are not the server's.
    const double spread_ns =
        kFinestNs +
        (running == nullptr ? 0.0 : static_cast<double>(running->end_ns - running->start_ns));
    const auto streams =
        static_cast<double>(first == nullptr ? 1 : first->features.sampled_requests);
    rows.add({1.0, static_cast<double>(fit.load->requests[i].request.prompt_tokens), streams},
             outside_ns - waited_ns, 1 / (spread_ns * spread_ns));
  }
}

}  // namespace

FrontendLatency fit_frontend(std::span<const FitLoad> loads,
                             std::span<const SimulatedLoad> trials) {
  LeastSquares rows;
  for (size_t i = 0; i < loads.size(); ++i) add_rows(loads[i], trials[i], rows);
  if (rows.rows.size() < kFewest) return {};
  const auto found = fit_non_negative(rows, identified_columns(rows), {.finest = 1e-3});
  if (!found) return {};
  return {.in_ns = (*found)[0],
          .in_ns_per_prompt_token = (*found)[1],
          .out_ns_per_stream = (*found)[2]};
}

}  // namespace touchstone::simulator
