// A model of a given shape with random weights made in memory, for benchmarks of shapes that nobody
// ships and for tests of odd shapes. Pure: equal arguments give equal bytes.
#pragma once

#include <cstdint>

#include "reference_engine/model/loaded_model.h"

namespace touchstone::model {

/// Weights are normal with standard deviation 0.02 (norms: 1 ± that), stored as config.dtype.
/// REQUIRES: a Llama config with dtype float32 or bfloat16.
LoadedModel random_model(const Config& config, uint64_t seed);

}  // namespace touchstone::model
