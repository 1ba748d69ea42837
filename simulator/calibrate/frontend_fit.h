// What lies between clients and engine, from measured requests. Pure; thread-safe.
#pragma once

#include <span>

#include "simulator/calibrate/fit.h"

namespace touchstone::simulator {

/// From what of TTFT is neither queue nor prefill, less the time that a request waits in the
/// simulation for the engine to look. Requests that find the engine idle say most. `trials`: of a
/// model without a frontend. All zero when no load has the times.
FrontendLatency fit_frontend(std::span<const FitLoad> loads, std::span<const SimulatedLoad> trials);

}  // namespace touchstone::simulator
