// MistralForCausalLM. Source: transformers 5.x configuration_mistral.py, modeling_mistral.py.
#include "reference_engine/model/architectures.h"
#include "reference_engine/model/config_fields.h"
#include "reference_engine/model/llama_family.h"

namespace touchstone::model {

Status read_mistral(const Fields& root, Config& config) {
  RETURN_IF_ERROR(read_llama_family(root, {.max_positions = 131072}, config));
  // Null, as later versions have it: no window. Absent: the first version's.
  if (is_null(root, "sliding_window")) return {};
  config.spec.windows.assign(static_cast<size_t>(config.num_layers),
                             read_count(root, "sliding_window", 4096));
  return {};
}

}  // namespace touchstone::model
