#include "reference_engine/model/weights.h"

#include <set>

#include "base/text.h"

namespace touchstone::model {

void visit_tensors(
    const Config& config, DecoderWeights& weights,
    const std::function<void(const std::string& name, const std::vector<int64_t>& shape,
                             TensorRole role, Tensor& tensor)>& visit) {
  const Spec& spec = config.spec;
  const TensorNames& names = spec.names;
  const int64_t hidden = config.hidden_size;
  const int64_t q_rows = int64_t{config.num_heads} * config.head_dim;
  const int64_t kv_rows = int64_t{config.num_kv_heads} * config.head_dim;
  const int64_t inner = config.intermediate_size;
  const auto affine = [&](const std::string& name, const std::vector<int64_t>& shape,
                          TensorRole role, bool bias, Affine& place) {
    visit(name + ".weight", shape, role, place.weight);
    if (!bias) return;
    if (!place.bias) place.bias.emplace();
    visit(name + ".bias", {shape[0]}, TensorRole::kBias, *place.bias);
  };
  const auto norm = [&](const std::string& name, Affine& place) {
    affine(name, {hidden}, TensorRole::kNorm, spec.norm.bias, place);
  };
  const auto head_norm = [&](const std::string& name, std::optional<Tensor>& place) {
    if (!place) place.emplace();
    visit(name + ".weight", {config.head_dim}, TensorRole::kNorm, *place);
  };
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t columns, bool bias,
                          Affine& place) {
    affine(name, {rows, columns}, TensorRole::kMatrix, bias, place);
  };
  visit(names.embedding + ".weight", {config.vocab_size, hidden}, TensorRole::kMatrix,
        weights.embedding);
  if (spec.learned_positions) {
    if (!weights.positions) weights.positions.emplace();
    visit(names.positions + ".weight",
          {int64_t{config.max_position_embeddings} + spec.learned_positions->offset, hidden},
          TensorRole::kMatrix, *weights.positions);
  }
  weights.layers.resize(static_cast<size_t>(config.num_layers));
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const std::string prefix = names.layer_prefix + std::to_string(i) + ".";
    LayerWeights& layer = weights.layers[i];
    norm(prefix + names.attention_norm, layer.attention_norm);
    matrix(prefix + names.q, q_rows, hidden, spec.biases.qkv, layer.q);
    matrix(prefix + names.k, kv_rows, hidden, spec.biases.qkv, layer.k);
    matrix(prefix + names.v, kv_rows, hidden, spec.biases.qkv, layer.v);
    matrix(prefix + names.o, hidden, q_rows, spec.biases.output, layer.o);
    if (spec.qk_norm) {
      head_norm(prefix + names.q_norm, layer.q_norm);
      head_norm(prefix + names.k_norm, layer.k_norm);
    }
    norm(prefix + names.feed_forward_norm, layer.feed_forward_norm);
    if (spec.gated) {
      if (!layer.gate) layer.gate.emplace();
      matrix(prefix + names.gate, inner, hidden, spec.biases.feed_forward, *layer.gate);
    }
    matrix(prefix + names.up, inner, hidden, spec.biases.feed_forward, layer.up);
    matrix(prefix + names.down, hidden, inner, spec.biases.feed_forward, layer.down);
  }
  norm(names.final_norm, weights.final_norm);
  if (spec.tied_embeddings) {
    weights.lm_head = weights.embedding;
  } else {
    visit(names.lm_head + ".weight", {config.vocab_size, hidden}, TensorRole::kMatrix,
          weights.lm_head);
  }
}

namespace {

/// Names that may be there and are not read.
std::set<std::string> ignored_names(const Config& config) {
  const TensorNames& names = config.spec.names;
  std::set<std::string> ignored;
  for (int32_t i = 0; i < config.num_layers; ++i) {
    for (const std::string& name : names.ignored) {
      ignored.insert(names.layer_prefix + std::to_string(i) + "." + name);
    }
  }
  // Some exports write the tied tensor twice.
  if (config.spec.tied_embeddings) ignored.insert(names.lm_head + ".weight");
  return ignored;
}

Status check_tensor(const std::string& name, const Tensor& tensor,
                    const std::vector<int64_t>& shape) {
  if (tensor.shape != shape) {
    return malformed("tensor " + quote(name) + ": got shape " + to_string(tensor.shape) +
                         ", expected " + to_string(shape),
                     "config.json and the weights do not belong together");
  }
  return {};
}

}  // namespace

Result<DecoderWeights> resolve_weights(const Config& config, const TensorMap& tensors) {
  DecoderWeights weights;
  std::set<std::string> known = ignored_names(config);
  Status first;
  visit_tensors(
      config, weights,
      [&](const std::string& name, const std::vector<int64_t>& shape, TensorRole, Tensor& tensor) {
        known.insert(name);
        if (!first) return;
        const auto found = tensors.find(name);
        if (found == tensors.end()) {
          first = malformed("tensor " + quote(name) + " is missing, expected shape " +
                            to_string(shape));
          return;
        }
        first = check_tensor(name, found->second, shape);
        tensor = found->second;
      });
  RETURN_IF_ERROR(first);
  for (const auto& [name, tensor] : tensors) {
    if (!known.contains(name)) {
      return malformed("tensor " + quote(name) + " " + to_string(tensor.shape) +
                           " is not part of this architecture",
                       "config.json and the weights do not belong together");
    }
  }
  return weights;
}

}  // namespace touchstone::model
