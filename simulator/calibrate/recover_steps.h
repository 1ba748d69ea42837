// The steps of a streaming server, found again in the times at which its clients got their tokens:
// tokens that came together are of one step, and the scheduler, driven by the same arrivals, says
// what else that step computed. Each step's requests are compared with the scheduler's, so that
// nothing is believed that was not seen. Thread-compatible.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "simulator/measured/load.h"

namespace touchstone::simulator {

struct RecoveredSteps {
  int64_t output_steps = 0;  ///< that gave a token
  int64_t matched = 0;       ///< of those, with the requests that the scheduler gives
  int64_t threshold_ns = 0;  ///< tokens that are nearer than this are of one step
  /// Work and time of steps whose start and end were seen. Left out are those after idleness (the
  /// way from the client is in their time) and those beside a step that gave no token.
  std::vector<StepSample> steps;
  double parity() const {
    return output_steps == 0 ? 0 : static_cast<double>(matched) / static_cast<double>(output_steps);
  }
};

/// Steps are taken for recovered from this parity on.
inline constexpr double kLeastParity = 0.99;

/// ERRORS: kInvalidArgument when no request has the time of each of its tokens; those of
/// simulated_requests().
Result<RecoveredSteps> recover_steps(const MeasuredLoad& load);

}  // namespace touchstone::simulator
