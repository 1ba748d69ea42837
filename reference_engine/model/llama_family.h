// What Llama and the architectures built on it have in common: rotary embedding, RMS norms, gated
// SiLU, grouped queries, and the names of all but a few tensors. Pure.
#pragma once

#include <optional>

#include "base/document.h"
#include "base/result.h"
#include "reference_engine/model/config.h"

namespace touchstone::model {

/// What a key means that is not there.
struct FamilyDefaults {
  int32_t max_positions = 0;
  std::optional<int32_t> head_dim = {};  ///< absent: hidden_size / num_attention_heads
};

/// Fills shape and spec: no biases, no norms of queries and keys, no windows.
/// ERRORS: kUnsupported naming the key.
Status read_llama_family(const Fields& root, const FamilyDefaults& defaults, Config& config);

/// spec.windows as Qwen says them: use_sliding_window, sliding_window, and either layer_types or
/// max_window_layers (the layers before it see everything). REQUIRES: num_layers is read.
void read_layer_windows(const Fields& root, Config& config);

}  // namespace touchstone::model
