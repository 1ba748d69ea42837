#include "simulator/calibrate/marks.h"

#include <algorithm>
#include <span>
#include <utility>

namespace touchstone::simulator {
namespace {

constexpr double kNsPerS = 1e9;
// Clocks of different processes, and of different lines of one program, agree this well.
constexpr double kClockNs = 0.5e6;

/// Where no step ran.
class IdleTime final {
 public:
  explicit IdleTime(std::span<const SimulatedStep> steps) {
    for (size_t i = 1; i < steps.size(); ++i) {
      if (steps[i].start_ns > steps[i - 1].end_ns) starts_.push_back(steps[i - 1].end_ns);
    }
  }
  /// Whether an idle time starts at or after `from_ns` and before `to_ns`.
  bool any_between(int64_t from_ns, int64_t to_ns) const {
    const auto next = std::lower_bound(starts_.begin(), starts_.end(), from_ns);
    return next != starts_.end() && *next < to_ns;
  }

 private:
  std::vector<int64_t> starts_;
};

struct Mark {
  double measured_ns = 0;
  int64_t simulated_ns = 0;
};

std::vector<Mark> marks_of(const FitLoad& fit, const SimulatedLoad& trial) {
  std::vector<Mark> marks;
  for (size_t i = 0; i < fit.requests; ++i) {
    const MeasuredRequest& request = fit.load->requests[i];
    const MeasuredTimes& m = request.times;
    const SimulatedTimes& s = trial.requests[i];
    if (!s.completed || !m.ttft_s || !m.prefill_s || !m.decode_s) continue;
    const double first_ns = static_cast<double>(request.request.arrival_ns) + *m.ttft_s * kNsPerS;
    marks.push_back({first_ns - *m.prefill_s * kNsPerS, s.scheduled_ns});
    marks.push_back({first_ns, s.first_token_ns});
    if (s.output_tokens > 1) marks.push_back({first_ns + *m.decode_s * kNsPerS, s.last_token_ns});
  }
  std::sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) {
    return std::pair(a.measured_ns, a.simulated_ns) < std::pair(b.measured_ns, b.simulated_ns);
  });
  return marks;
}

}  // namespace

std::vector<MarkedInterval> marked_intervals(const FitLoad& fit, const SimulatedLoad& trial,
                                             size_t fewest_steps) {
  const WorkLine count(trial.steps, [](const StepFeatures&) { return std::vector<double>{1.0}; });
  const IdleTime idle(trial.steps);
  const std::vector<Mark> marks = marks_of(fit, trial);
  const double fewest = static_cast<double>(fewest_steps) - 0.5;
  std::vector<MarkedInterval> intervals;
  size_t from = 0;
  for (size_t to = 1; to < marks.size(); ++to) {
    const Mark& a = marks[from];
    const Mark& b = marks[to];
    // Nearer than this they are one step's end; in another order than simulated, nothing is known.
    if (b.measured_ns - a.measured_ns < kClockNs || b.simulated_ns <= a.simulated_ns) continue;
    const bool idled = idle.any_between(a.simulated_ns, b.simulated_ns);
    const double steps = count.between(a.simulated_ns, b.simulated_ns)[0];
    if (!idled && steps < fewest) continue;
    if (!idled) {
      intervals.push_back({b.measured_ns - a.measured_ns, a.simulated_ns, b.simulated_ns, steps});
    }
    from = to;
  }
  return intervals;
}

}  // namespace touchstone::simulator
