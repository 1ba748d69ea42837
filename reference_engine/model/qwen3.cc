// Qwen3ForCausalLM. Source: transformers 5.x configuration_qwen3.py, modeling_qwen3.py.
#include "reference_engine/model/architectures.h"
#include "reference_engine/model/llama_family.h"

namespace touchstone::model {

Status read_qwen3(const Fields& root, Config& config) {
  RETURN_IF_ERROR(read_llama_family(root, {.max_positions = 32768, .head_dim = 128}, config));
  const bool biases = root.optional_bool("attention_bias").value_or(false);
  config.spec.biases = {.qkv = biases, .output = biases, .feed_forward = false};
  config.spec.qk_norm = true;
  config.spec.names.q_norm = "self_attn.q_norm";
  config.spec.names.k_norm = "self_attn.k_norm";
  read_layer_windows(root, config);
  return {};
}

}  // namespace touchstone::model
