// Every step takes the same time: for closed forms and first looks.
#pragma once

#include <memory>

#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// REQUIRES: duration_ns >= 1.
std::unique_ptr<StepTimeModel> make_constant_step_time(int64_t duration_ns);

}  // namespace touchstone::simulator
