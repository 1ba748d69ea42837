// Tensor names of LlamaForCausalLM. Source: transformers 5.x modeling_llama.py.
#include <set>

#include "base/text.h"
#include "reference_engine/model/architectures.h"

namespace touchstone::model {
namespace {

/// Takes tensors by name, checks their shapes, and remembers the first problem and what was taken.
class Taker {
 public:
  explicit Taker(const TensorMap& tensors) : tensors_(tensors) {}

  Tensor take(const std::string& name, const std::vector<int64_t>& shape) {
    const auto found = tensors_.find(name);
    taken_.insert(name);
    if (found == tensors_.end()) {
      fail(malformed("tensor " + quote(name) + " is missing, expected shape " + to_string(shape)));
      return {};
    }
    if (found->second.shape != shape) {
      fail(malformed("tensor " + quote(name) + ": got shape " + to_string(found->second.shape) +
                         ", expected " + to_string(shape),
                     "config.json and the weights do not belong together"));
    }
    return found->second;
  }

  /// For tensors that carry nothing of their own.
  void ignore(const std::string& name) { taken_.insert(name); }

  Status finish() {
    for (const auto& [name, tensor] : tensors_) {
      if (!taken_.contains(name)) {
        fail(malformed("tensor " + quote(name) + " " + to_string(tensor.shape) +
                           " is not part of this architecture",
                       "config.json and the weights do not belong together"));
      }
    }
    return first_error_;
  }

 private:
  void fail(Error error) {
    if (first_error_) first_error_ = std::move(error);
  }
  const TensorMap& tensors_;
  std::set<std::string> taken_;
  Status first_error_;
};

}  // namespace

Result<DecoderWeights> resolve_llama(const Config& config, const TensorMap& tensors) {
  const int64_t hidden = config.hidden_size;
  const int64_t q_rows = int64_t{config.num_heads} * config.head_dim;
  const int64_t kv_rows = int64_t{config.num_kv_heads} * config.head_dim;
  const int64_t inner = config.intermediate_size;
  Taker taker(tensors);
  DecoderWeights weights;
  weights.embedding = taker.take("model.embed_tokens.weight", {config.vocab_size, hidden});
  for (int32_t i = 0; i < config.num_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    LayerWeights layer;
    layer.input_norm = taker.take(prefix + "input_layernorm.weight", {hidden});
    layer.q = taker.take(prefix + "self_attn.q_proj.weight", {q_rows, hidden});
    layer.k = taker.take(prefix + "self_attn.k_proj.weight", {kv_rows, hidden});
    layer.v = taker.take(prefix + "self_attn.v_proj.weight", {kv_rows, hidden});
    layer.o = taker.take(prefix + "self_attn.o_proj.weight", {hidden, q_rows});
    layer.post_norm = taker.take(prefix + "post_attention_layernorm.weight", {hidden});
    layer.gate = taker.take(prefix + "mlp.gate_proj.weight", {inner, hidden});
    layer.up = taker.take(prefix + "mlp.up_proj.weight", {inner, hidden});
    layer.down = taker.take(prefix + "mlp.down_proj.weight", {hidden, inner});
    // Old exports carry the inverse frequencies, which rope_theta gives anyway.
    taker.ignore(prefix + "self_attn.rotary_emb.inv_freq");
    weights.layers.push_back(std::move(layer));
  }
  weights.final_norm = taker.take("model.norm.weight", {hidden});
  if (config.tie_word_embeddings) {
    weights.lm_head = weights.embedding;
    taker.ignore("lm_head.weight");  // some exports write the tied tensor twice
  } else {
    weights.lm_head = taker.take("lm_head.weight", {config.vocab_size, hidden});
  }
  RETURN_IF_ERROR(taker.finish());
  return weights;
}

}  // namespace touchstone::model
