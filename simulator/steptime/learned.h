// A step-time model that was learned from runs or put together from measurements: a shape, the
// anchor of a server process, chance, and what lies between clients and engine. Thread-safe.
#pragma once

#include <memory>

#include "simulator/steptime/model.h"
#include "simulator/steptime/shape.h"

namespace touchstone::simulator {

/// Steps vary by a factor whose logarithm is a first-order autoregression: a busy machine stays
/// busy for a while.
struct NoiseLevel {
  double sigma = 0;        ///< standard deviation of the factor's logarithm; 0: none
  double correlation = 0;  ///< of one step's with the next, within [0, 1)
};

struct LearnedStepTime {
  std::shared_ptr<const StepShape> shape;
  Anchor anchor;
  NoiseLevel noise;
  FrontendLatency frontend;
};

/// The factor of chance has mean 1. REQUIRES: a shape.
std::unique_ptr<StepTimeModel> make_learned_step_time(const LearnedStepTime& learned);

}  // namespace touchstone::simulator
