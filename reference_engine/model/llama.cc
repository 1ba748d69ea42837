// LlamaForCausalLM: Llama 2, 3, 3.x and what is built like them. Source: transformers 5.x
// configuration_llama.py, modeling_llama.py.
#include "reference_engine/model/architectures.h"
#include "reference_engine/model/config_fields.h"
#include "reference_engine/model/llama_family.h"

namespace touchstone::model {

Status read_llama(const Fields& root, Config& config) {
  // transformers' Llama knows no window, and reads none.
  RETURN_IF_ERROR(refuse_other_values(
      root, {{"sliding_window", nullptr, /*enabled_by=*/"use_sliding_window"}}));
  RETURN_IF_ERROR(read_llama_family(root, {.max_positions = 2048}, config));
  const bool attention = root.optional_bool("attention_bias").value_or(false);
  config.spec.biases = {.qkv = attention,
                        .output = attention,
                        .feed_forward = root.optional_bool("mlp_bias").value_or(false)};
  return {};
}

}  // namespace touchstone::model
