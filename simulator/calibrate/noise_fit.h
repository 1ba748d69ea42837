// How much steps vary by chance, and for how long. Pure; thread-safe.
#pragma once

#include <span>

#include "simulator/calibrate/fit.h"
#include "simulator/steptime/learned.h"

namespace touchstone::simulator {

/// `model`: the fitted one, without noise; `trials`: of it. From logged steps, where there are any;
/// else so that decode times of requests spread as the measured ones do around the simulated, which
/// is all that they say: how much a single step varies, and for how long, they do not tell apart.
NoiseLevel fit_noise(std::span<const FitLoad> loads, std::span<const Trial> trials,
                     const StepTimeModel& model);

}  // namespace touchstone::simulator
