// Qwen2ForCausalLM: Qwen2 and Qwen2.5. Source: transformers 5.x configuration_qwen2.py,
// modeling_qwen2.py.
#include "reference_engine/model/architectures.h"
#include "reference_engine/model/llama_family.h"

namespace touchstone::model {

Status read_qwen2(const Fields& root, Config& config) {
  RETURN_IF_ERROR(read_llama_family(root, {.max_positions = 32768}, config));
  config.spec.biases.qkv = true;
  read_layer_windows(root, config);
  return {};
}

}  // namespace touchstone::model
