// OPTForCausalLM, as facebook/opt-125m has it. Source: transformers 5.x configuration_opt.py,
// modeling_opt.py.
#include "reference_engine/model/architectures.h"
#include "reference_engine/model/config_fields.h"

namespace touchstone::model {

Status read_opt(const Fields& root, Config& config) {
  RETURN_IF_ERROR(refuse_other_values(root, {{"activation_function", "relu"},
                                             {"do_layer_norm_before", true},
                                             {"_remove_final_layer_norm", false},
                                             {"layer_norm_elementwise_affine", true}}));
  config.vocab_size = read_count(root, "vocab_size");
  config.hidden_size = read_count(root, "hidden_size");
  config.intermediate_size = read_count(root, "ffn_dim");
  config.num_layers = read_count(root, "num_hidden_layers");
  config.max_position_embeddings = read_count(root, "max_position_embeddings", 2048);
  read_heads(root, config);
  // opt-350m embeds in fewer dimensions and projects.
  RETURN_IF_ERROR(refuse_other_values(root, {{"word_embed_proj_dim", config.hidden_size}}));
  Spec& spec = config.spec;
  const bool biases = root.optional_bool("enable_bias").value_or(true);
  spec.norm = {.kind = NormSpec::Kind::kLayer, .bias = true, .eps = 1e-5};  // torch's own epsilon
  spec.learned_positions = LearnedPositions{.offset = 2};
  spec.activation = Activation::kRelu;
  spec.gated = false;
  spec.biases = {.qkv = biases, .output = biases, .feed_forward = biases};
  spec.tied_embeddings = root.optional_bool("tie_word_embeddings").value_or(true);
  spec.names = {.embedding = "model.decoder.embed_tokens",
                .positions = "model.decoder.embed_positions",
                .final_norm = "model.decoder.final_layer_norm",
                .lm_head = "lm_head",
                .layer_prefix = "model.decoder.layers.",
                .attention_norm = "self_attn_layer_norm",
                .q = "self_attn.q_proj",
                .k = "self_attn.k_proj",
                .v = "self_attn.v_proj",
                .o = "self_attn.out_proj",
                .q_norm = "",
                .k_norm = "",
                .feed_forward_norm = "final_layer_norm",
                .gate = "",
                .up = "fc1",
                .down = "fc2",
                .ignored = {}};
  return {};
}

}  // namespace touchstone::model
