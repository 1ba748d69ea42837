// The weights of a decoder by role, whatever its architecture calls them. Values; borrow.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/model/config.h"
#include "reference_engine/model/safetensors.h"

namespace touchstone::model {

/// A matrix or a norm with its bias, which the spec may lack.
struct Affine {
  Tensor weight;
  std::optional<Tensor> bias = {};
};

/// Letters: H hidden_size, F intermediate_size, D head_dim, Q num_heads, G num_kv_heads.
struct LayerWeights {
  Affine attention_norm;         // (H)
  Affine q;                      // (Q*D, H)
  Affine k;                      // (G*D, H)
  Affine v;                      // (G*D, H)
  Affine o;                      // (H, Q*D)
  std::optional<Tensor> q_norm;  // (D)
  std::optional<Tensor> k_norm;  // (D)
  Affine feed_forward_norm;      // (H)
  std::optional<Affine> gate;    // (F, H)
  Affine up;                     // (F, H)
  Affine down;                   // (H, F)
};

/// All have the shapes that the config demands.
struct DecoderWeights {
  Tensor embedding;                 // (vocab, H)
  std::optional<Tensor> positions;  // (max positions + offset, H)
  std::vector<LayerWeights> layers;
  Affine final_norm;  // (H)
  Tensor lm_head;     // (vocab, H); the embedding when tied
};

enum class TensorRole { kMatrix, kNorm, kBias };

/// Calls `visit(name, shape, role, tensor)` for each tensor that the spec demands, tied ones once,
/// always in the same order, after making room for it in `weights`. Both for filling and reading.
void visit_tensors(
    const Config& config, DecoderWeights& weights,
    const std::function<void(const std::string& name, const std::vector<int64_t>& shape,
                             TensorRole role, Tensor& tensor)>& visit);

/// Finds every tensor of the spec by name.
/// ERRORS: kMalformed for a missing, unknown or misshapen tensor, by name.
Result<DecoderWeights> resolve_weights(const Config& config, const TensorMap& tensors);

}  // namespace touchstone::model
