// A measured load beside its prediction: latencies, what the server counted, and how far chance
// alone moves the prediction. Thread-compatible.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "result/result_model.h"
#include "simulator/calibrate/simulated_load.h"

namespace touchstone::simulator {

inline constexpr int kCompareSeeds = 20;

struct LoadComparison {
  /// Requests before this one were learned from, so they judge nothing.
  size_t from = 0;
  uint64_t seed = 0;  ///< the first of kCompareSeeds, when the model knows chance
};

/// Appends the tables "Errors" and "Measured beside simulated" and the figures tpot_mean_error,
/// ttft_mean_error, e2e_mean_error, … to `report`. ERRORS: those of simulate_load().
Status add_load_comparison(const MeasuredLoad& load, const scheduler::Config& config,
                           const StepTimeModel& model, const LoadComparison& options,
                           result::Report& report);

}  // namespace touchstone::simulator
