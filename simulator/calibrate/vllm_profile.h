// A model from a profile of vLLM's layers on a card, as LLMServingSim's profiler writes it (github.
// com/casys-kaist/LLMServingSim, profiler/perf): kernel times in microseconds.
//
//   dense.csv         layer, tokens, time_us
//   per_sequence.csv  layer, sequences, time_us
//   attention.csv     prefill_chunk, kv_prefill, n_decode, kv_decode, time_us
//   skew_fit.csv      pc, alpha, n_samples: what unequal contexts add; may be missing
//
// Thread-compatible.
#pragma once

#include <string>

#include "base/result.h"
#include "simulator/steptime/model_file.h"

namespace touchstone::simulator {

/// `model_config`: config.json, for the number of layers. ERRORS: kNotFound, kIo, kInvalidArgument
/// with file and line.
Result<ModelFile> compose_vllm_profile(const std::string& folder, const std::string& model_config);

}  // namespace touchstone::simulator
