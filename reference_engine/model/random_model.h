// A model of a given shape with random weights made in memory (--load-format dummy): speed and
// scheduling of a shape whose weights are not at hand. Pure: equal arguments give equal bytes.
#pragma once

#include <cstdint>

#include "reference_engine/model/loaded_model.h"

namespace touchstone::model {

/// Weights are normal with standard deviation 0.02 (norms: 1 ± that), stored as bfloat16 when that
/// is config.dtype, else as float32.
LoadedModel random_model(const Config& config, uint64_t seed);

}  // namespace touchstone::model
