// From loads to a model file: costs or anchor, frontend, noise, range. Thread-compatible.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "simulator/calibrate/fit.h"
#include "simulator/steptime/model_file.h"

namespace touchstone::simulator {

struct Learned {
  ModelFile file;                     ///< without origins and held-out errors
  std::vector<SimulatedLoad> trials;  ///< of each load, with the model, without noise
  int rounds = 0;
  bool settled = false;
};

/// `base`: its shape is kept, and the anchor alone is learned.
/// ERRORS: kInvalidArgument when the loads do not identify it, with the load that is missing.
Result<Learned> learn(std::span<const FitLoad> loads, const ModelFile* base);

}  // namespace touchstone::simulator
