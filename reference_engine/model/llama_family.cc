#include "reference_engine/model/llama_family.h"

#include <string>

#include "base/text.h"
#include "reference_engine/model/config_fields.h"
#include "reference_engine/model/rope.h"

namespace touchstone::model {

Status read_llama_family(const Fields& root, const FamilyDefaults& defaults, Config& config) {
  RETURN_IF_ERROR(refuse_other_values(root, {{"hidden_act", "silu"}}));
  config.vocab_size = read_count(root, "vocab_size");
  config.hidden_size = read_count(root, "hidden_size");
  config.intermediate_size = read_count(root, "intermediate_size");
  config.num_layers = read_count(root, "num_hidden_layers");
  config.max_position_embeddings =
      read_count(root, "max_position_embeddings", defaults.max_positions);
  read_heads(root, config, defaults.head_dim);
  RETURN_IF_ERROR(read_rope(root, config));
  Spec& spec = config.spec;
  spec.norm.eps = root.optional_double("rms_norm_eps").value_or(1e-6);
  if (!(spec.norm.eps > 0)) root.fail("rms_norm_eps", "expected a positive number");
  spec.tied_embeddings = root.optional_bool("tie_word_embeddings").value_or(false);
  spec.names = {.embedding = "model.embed_tokens",
                .positions = "",
                .final_norm = "model.norm",
                .lm_head = "lm_head",
                .layer_prefix = "model.layers.",
                .attention_norm = "input_layernorm",
                .q = "self_attn.q_proj",
                .k = "self_attn.k_proj",
                .v = "self_attn.v_proj",
                .o = "self_attn.o_proj",
                .q_norm = "",
                .k_norm = "",
                .feed_forward_norm = "post_attention_layernorm",
                .gate = "mlp.gate_proj",
                .up = "mlp.up_proj",
                .down = "mlp.down_proj",
                // Old exports carry the inverse frequencies, which rope_theta gives anyway.
                .ignored = {"self_attn.rotary_emb.inv_freq"}};
  return {};
}

namespace {

/// Whether the layer with this word in layer_types has a window.
bool is_sliding(const Fields& root, const std::string& word) {
  if (word != "sliding_attention" && word != "full_attention") {
    root.fail("layer_types", "got " + quote(word) + ", expected full_attention, sliding_attention");
  }
  return word == "sliding_attention";
}

}  // namespace

void read_layer_windows(const Fields& root, Config& config) {
  const bool used = root.optional_bool("use_sliding_window").value_or(false);
  std::vector<std::string> types;
  if (!root.raw("layer_types").is_null()) types = root.strings("layer_types");
  const size_t layers = static_cast<size_t>(config.num_layers);
  if (!types.empty() && types.size() != layers) {
    root.fail("layer_types", "got " + std::to_string(types.size()) +
                                 " layers, expected num_hidden_layers " + std::to_string(layers));
    return;
  }
  if (!used || is_null(root, "sliding_window")) return;
  const int32_t window = read_count(root, "sliding_window", 4096);
  const size_t first = static_cast<size_t>(root.int_in("max_window_layers", 28, 0, INT32_MAX));
  config.spec.windows.resize(layers);
  for (size_t i = 0; i < layers; ++i) {
    const bool sliding = types.empty() ? i >= first : is_sliding(root, types[i]);
    if (sliding) config.spec.windows[i] = window;
  }
}

}  // namespace touchstone::model
