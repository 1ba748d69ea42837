// LlamaForCausalLM. Source: transformers 5.x configuration_llama.py, modeling_llama.py.
#include "reference_engine/model/architectures.h"
#include "reference_engine/model/config_fields.h"

namespace touchstone::model {

Status read_llama(const Fields& root, Config& config) {
  RETURN_IF_ERROR(
      refuse_other_values(root, {{"attention_bias", false},
                                 {"mlp_bias", false},
                                 {"hidden_act", "silu"},
                                 {"sliding_window", nullptr, /*enabled_by=*/"use_sliding_window"},
                                 {"partial_rotary_factor", 1.0}}));
  config.vocab_size = read_count(root, "vocab_size");
  config.hidden_size = read_count(root, "hidden_size");
  config.intermediate_size = read_count(root, "intermediate_size");
  config.num_layers = read_count(root, "num_hidden_layers");
  config.max_position_embeddings = read_count(root, "max_position_embeddings", 2048);
  read_heads(root, config);
  Spec& spec = config.spec;
  auto rope = read_rope(root, config.head_dim);
  if (!rope) return std::move(rope).error();
  spec.rope = *std::move(rope);
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

}  // namespace touchstone::model
