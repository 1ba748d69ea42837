// How much steps vary by chance, and for how long. Pure; thread-safe.
#pragma once

#include <span>

#include "simulator/calibrate/fit.h"
#include "simulator/steptime/learned.h"

namespace touchstone::simulator {

/// `model`: the fitted one, without noise; `trials`: of it. From logged steps, where there are any;
/// else from times between requests' tokens, over some dozens of steps: how much these vary is what
/// the model then does; how long chance lasts they do not tell apart from how large it is.
NoiseLevel fit_noise(std::span<const FitLoad> loads, std::span<const SimulatedLoad> trials,
                     const StepTimeModel& model);

}  // namespace touchstone::simulator
