// The table of model architectures: how each names its tensors. A new one is one file with one
// function and one row in architectures.cc. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/model/config.h"
#include "reference_engine/model/safetensors.h"

namespace touchstone::model {

/// The weights of one decoder layer. Letters: H hidden_size, F intermediate_size, D head_dim,
/// Q num_heads, G num_kv_heads.
struct LayerWeights {
  Tensor input_norm;  // (H)
  Tensor q;           // (Q*D, H)
  Tensor k;           // (G*D, H)
  Tensor v;           // (G*D, H)
  Tensor o;           // (H, Q*D)
  Tensor post_norm;   // (H)
  Tensor gate;        // (F, H)
  Tensor up;          // (F, H)
  Tensor down;        // (H, F)
};

/// The weights by role. All have the shapes that the config demands.
struct DecoderWeights {
  Tensor embedding;  // (vocab, H)
  std::vector<LayerWeights> layers;
  Tensor final_norm;  // (H)
  Tensor lm_head;     // (vocab, H); the embedding when tied
};

struct Architecture {
  const char* name;
  /// Resolves names to roles and checks shapes.
  /// ERRORS: kMalformed for a missing, unknown or misshapen tensor, by name.
  Result<DecoderWeights> (*resolve)(const Config& config, const TensorMap& tensors);
};

/// Null when there is none of that name.
const Architecture* find_architecture(const std::string& name);
std::vector<std::string> architecture_names();

/// llama.cc
Result<DecoderWeights> resolve_llama(const Config& config, const TensorMap& tensors);

}  // namespace touchstone::model
