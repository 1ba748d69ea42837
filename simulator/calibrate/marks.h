// The same instants in a measured run and in its simulation: a request was first scheduled, or got
// its first or last token. All of them are ends of steps. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "simulator/calibrate/fit_load.h"
#include "simulator/calibrate/simulated_load.h"

namespace touchstone::simulator {

/// From one mark to another, in which the simulation never idled.
struct MarkedInterval {
  double measured_ns = 0;
  int64_t simulated_from_ns = 0;
  int64_t simulated_to_ns = 0;
  double steps = 0;  ///< simulated in it
};

/// One after the other, each over `fewest_steps` or more. Marks in another order than measured say
/// nothing and are passed over. Of the requests of `fit` that may be looked at.
std::vector<MarkedInterval> marked_intervals(const FitLoad& fit, const SimulatedLoad& trial,
                                             size_t fewest_steps);

}  // namespace touchstone::simulator
