// Costs of steps from the times of requests, without knowing a single step: the load is simulated
// with a first guess, the work that the simulation did within each measured interval is summed up,
// and the measured times are regressed on these sums; again with the better guess until it stays.
// Steps that were logged are regressed beside them as they are. Thread-compatible.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "simulator/calibrate/fit_load.h"
#include "simulator/calibrate/simulated_load.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// Which measured times are regressed on.
enum class Rows {
  /// Prefill and decode of each request. They overlap, so that few steps count for many requests,
  /// but a schedule that is off by a step changes little: finds its way from any start.
  kRequests,
  /// From one request's token to the next one's, over so many steps at least. Every step counts
  /// once, which tells costs apart that times of requests mix; wants a schedule that nearly fits.
  kMarks,
};

struct FitProblem {
  WorkLine::Columns columns;  ///< what of a step costs
  /// The model for a cost of each column, in nanoseconds.
  std::function<std::unique_ptr<StepTimeModel>(const std::vector<double>&)> model;
  std::vector<double> start;  ///< first guess
  Rows rows = Rows::kRequests;
  size_t steps_of_row = 1;  ///< of kMarks
};

struct Fit {
  std::vector<double> costs_ns;  ///< by column
  unsigned identified = 0;       ///< bit i: column i
  int rounds = 0;
  bool settled = false;               ///< the last round changed next to nothing
  std::vector<SimulatedLoad> trials;  ///< of each load, with the costs
};

/// How far the simulated requests are from the measured ones that may be looked at: distances of
/// means and of single requests, relative, summed over TTFT, TPOT and e2e.
double misfit(std::span<const FitLoad> loads, const Fit& fit);

/// ERRORS: kInvalidArgument when there is no measured time to learn from; those of simulate_load().
Result<Fit> fit_costs(std::span<const FitLoad> loads, const FitProblem& problem);

}  // namespace touchstone::simulator
