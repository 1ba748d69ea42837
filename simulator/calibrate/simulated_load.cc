#include "simulator/calibrate/simulated_load.h"

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "simulator/frontend.h"
#include "simulator/simulation.h"

namespace touchstone::simulator {
namespace {

class TrialObserver final : public Observer {
 public:
  explicit TrialObserver(SimulatedLoad& trial) : trial_(trial) {}

  void on_step(const StepView& step) override {
    trial_.steps.push_back(
        {step.start_ns, step.start_ns + step.duration_ns, features_of(step.plan)});
    trial_.extrapolated_steps += step.extrapolated ? 1 : 0;
    trial_.preemptions += std::ssize(step.plan.preempted);
    trial_.peak_kv_blocks =
        std::max(trial_.peak_kv_blocks, step.state.total_blocks - step.state.free_blocks);
  }

  void on_request(int32_t, const records::RequestRecord& r) override {
    SimulatedTimes& times = trial_.requests[r.id - 1];
    trial_.prefix_hit_tokens += r.cached_tokens;
    times.arrival_ns = r.arrival_ns;
    times.output_tokens = r.completion_tokens;
    times.finished_ns = r.finished_ns;
    times.completed = r.outcome != records::Outcome::kAbort && r.queued_ns &&
                      r.first_scheduled_ns && r.first_token_ns && r.last_token_ns;
    if (!times.completed) return;
    times.queued_ns = *r.queued_ns;
    times.scheduled_ns = *r.first_scheduled_ns;
    times.first_token_ns = *r.first_token_ns;
    times.last_token_ns = *r.last_token_ns;
  }

 private:
  SimulatedLoad& trial_;
};

}  // namespace

double SimulatedTimes::ttft_s() const { return to_seconds(first_token_ns - arrival_ns); }
double SimulatedTimes::e2e_s() const { return to_seconds(finished_ns - arrival_ns); }
double SimulatedTimes::tpot_s() const {
  return to_seconds(last_token_ns - first_token_ns) / static_cast<double>(output_tokens - 1);
}

Result<SimulatedLoad> simulate_load(const MeasuredLoad& load, const scheduler::Config& config,
                                    const StepTimeModel& model, uint64_t seed) {
  SimulatedLoad trial;
  trial.requests.resize(load.requests.size());
  TrialObserver observer(trial);
  const ReplicaOptions replica{config, model};
  FrontendObserver frontend({&replica, 1}, observer);
  const auto source = make_load_source(load, config);
  const auto router = make_round_robin_router();
  const auto end = run_simulation({&replica, 1}, *router, *source, frontend, seed);
  if (!end) return end.error();
  return trial;
}

WorkLine::WorkLine(std::span<const SimulatedStep> steps, const Columns& columns) : steps_(steps) {
  before_.reserve(steps.size() + 1);
  std::vector<double> sum;
  for (const SimulatedStep& step : steps) {
    const std::vector<double> work = columns(step.features);
    sum.resize(work.size());
    before_.push_back(sum);
    for (size_t i = 0; i < work.size(); ++i) sum[i] += work[i];
  }
  before_.push_back(std::move(sum));
}

std::vector<double> WorkLine::until(int64_t time_ns) const {
  // The first step that ends after it.
  const auto step = std::upper_bound(
      steps_.begin(), steps_.end(), time_ns,
      [](int64_t time, const SimulatedStep& candidate) { return time < candidate.end_ns; });
  const auto index = static_cast<size_t>(step - steps_.begin());
  std::vector<double> sum = before_[index];
  if (step == steps_.end() || time_ns <= step->start_ns) return sum;
  const double share = static_cast<double>(time_ns - step->start_ns) /
                       static_cast<double>(step->end_ns - step->start_ns);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += share * (before_[index + 1][i] - sum[i]);
  return sum;
}

std::vector<double> WorkLine::between(int64_t from_ns, int64_t to_ns) const {
  BASE_CHECK(from_ns <= to_ns, from_ns, " to ", to_ns);
  std::vector<double> work = until(to_ns);
  const std::vector<double> start = until(from_ns);
  for (size_t i = 0; i < work.size(); ++i) work[i] -= start[i];
  return work;
}

}  // namespace touchstone::simulator
