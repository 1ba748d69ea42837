// How far a simulation is from what was measured. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "simulator/calibrate/simulated_load.h"
#include "simulator/measured/load.h"

namespace touchstone::simulator {

/// Simulated over measured - 1, of one latency.
struct LatencyError {
  double measured_mean_s = 0;
  double simulated_mean_s = 0;
  double mean = 0;
  double p50 = 0;
  double p95 = 0;
};

struct Errors {
  int64_t requests = 0;  ///< that were measured and simulated to their end
  std::optional<LatencyError> ttft;
  std::optional<LatencyError> tpot;
  std::optional<LatencyError> e2e;
  std::optional<LatencyError> short_ttft;  ///< of those measured below 1 s
};

/// Over requests [from, size) of the load. A latency that nobody measured is nullopt, and so is
/// short_ttft of fewer than 30.
Errors judge(const MeasuredLoad& load, const SimulatedLoad& trial, size_t from);

}  // namespace touchstone::simulator
