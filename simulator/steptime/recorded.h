// The durations of a recorded run, step by step.
#pragma once

#include <memory>
#include <vector>

#include "simulator/steptime/model.h"

namespace touchstone::simulator {

/// A step beyond the recorded ones takes their mean, so that a schedule that has drifted ends; it
/// is outside of the model's validity.
/// REQUIRES: durations_ns is not empty.
std::unique_ptr<StepTimeModel> make_recorded_step_time(std::vector<int64_t> durations_ns);

}  // namespace touchstone::simulator
