// A measured load simulated with some model of step times: what fits and comparisons look at.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "simulator/measured/load.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// What became of one request of the load; nanoseconds of the load's clock.
struct SimulatedTimes {
  bool completed = false;
  int64_t arrival_ns = 0;
  int64_t queued_ns = 0;
  int64_t scheduled_ns = 0;
  int64_t first_token_ns = 0;
  int64_t last_token_ns = 0;
  int64_t finished_ns = 0;
  int64_t output_tokens = 0;

  double ttft_s() const;
  double e2e_s() const;
  double tpot_s() const;  ///< REQUIRES: output_tokens > 1
};

struct SimulatedStep {
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  StepFeatures features;
};

struct SimulatedLoad {
  std::vector<SimulatedTimes> requests;  ///< as those of the load
  std::vector<SimulatedStep> steps;      ///< in order
  int64_t extrapolated_steps = 0;
  int64_t preemptions = 0;
  int64_t prefix_hit_tokens = 0;
  int64_t peak_kv_blocks = 0;
};

/// ERRORS: those of run_simulation().
Result<SimulatedLoad> simulate_load(const MeasuredLoad& load, const scheduler::Config& config,
                                    const StepTimeModel& model, uint64_t seed);

/// How much of each column was done between two times, a step's work being spread evenly over it.
class WorkLine final {
 public:
  using Columns = std::function<std::vector<double>(const StepFeatures&)>;
  /// REQUIRES: steps do not overlap; they outlive it.
  WorkLine(std::span<const SimulatedStep> steps, const Columns& columns);
  /// REQUIRES: from_ns <= to_ns.
  std::vector<double> between(int64_t from_ns, int64_t to_ns) const;

 private:
  std::vector<double> until(int64_t time_ns) const;

  std::span<const SimulatedStep> steps_;
  std::vector<std::vector<double>> before_;  // sums over the steps before each, and over all
};

}  // namespace touchstone::simulator
