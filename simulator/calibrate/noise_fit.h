// How much steps vary by chance, and for how long. Pure; thread-safe.
#pragma once

#include <span>

#include "simulator/calibrate/fit.h"
#include "simulator/steptime/learned.h"

namespace touchstone::simulator {

/// `model`: the fitted one, without noise; `trials`: of it. From logged steps, where there are any;
/// else from requests: the times of short prefills, a step or two, say how much, and those of long
/// decodes, over which chance evens out unless it lasts, say for how long.
NoiseLevel fit_noise(std::span<const FitLoad> loads, std::span<const Trial> trials,
                     const StepTimeModel& model);

}  // namespace touchstone::simulator
