#include "reference_engine/model/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace touchstone::model {
namespace {

using nlohmann::json;

json small_config() {
  return json::parse(R"({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 5000.0, "eos_token_id": 3,
    "torch_dtype": "bfloat16", "some_future_key": {"x": 1}})");
}

Result<Config> parse(const json& config) { return parse_config("config.json", config.dump()); }

TEST(Config, ReadsWhatAFolderOfTransformers4Says) {
  const auto config = parse(small_config());
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->architecture, "LlamaForCausalLM");
  EXPECT_EQ(config->vocab_size, 100);
  EXPECT_EQ(config->head_dim, 8);
  EXPECT_EQ(config->num_kv_heads, 2);
  EXPECT_EQ(config->spec.rope->inverse_frequencies, rope_table(5000.0, 8));
  EXPECT_EQ(config->spec.norm.eps, 1e-5);
  EXPECT_EQ(config->dtype, DType::kBFloat16);
  EXPECT_FALSE(config->spec.tied_embeddings);
  EXPECT_EQ(config->eos_token_ids, std::vector<int32_t>{3});
}

TEST(Config, ReadsTheSpellingsOfTransformers5) {
  json config = small_config();
  config.erase("rope_theta");
  config.erase("torch_dtype");
  config["rope_parameters"] = {{"rope_theta", 7000.0}, {"rope_type", "default"}};
  config["dtype"] = "float32";
  config["head_dim"] = 16;
  config["eos_token_id"] = {1, 6};
  config["tie_word_embeddings"] = true;
  const auto parsed = parse(config);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(parsed->spec.rope->inverse_frequencies, rope_table(7000.0, 16));
  EXPECT_EQ(parsed->dtype, DType::kFloat32);
  EXPECT_EQ(parsed->head_dim, 16);
  EXPECT_EQ(parsed->eos_token_ids, (std::vector<int32_t>{1, 6}));
  EXPECT_TRUE(parsed->spec.tied_embeddings);
}

TEST(Config, MissingKeyValueHeadsMeansAsManyAsHeads) {
  json config = small_config();
  config.erase("num_key_value_heads");
  const auto parsed = parse(config);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->num_kv_heads, 4);
}

TEST(Config, AKeyThatIsSwitchedOffMayStandThere) {
  json config = small_config();
  config["sliding_window"] = 4096;
  config["use_sliding_window"] = false;
  EXPECT_TRUE(parse(config).has_value());
  config["use_sliding_window"] = true;
  EXPECT_FALSE(parse(config).has_value());
}

std::vector<std::optional<int32_t>> windows_of(const json& config) {
  const auto parsed = parse(config);
  EXPECT_TRUE(parsed.has_value()) << parsed.error().message;
  return parsed ? parsed->spec.windows : std::vector<std::optional<int32_t>>();
}

TEST(Config, MistralHasAWindowUnlessItIsNull) {
  json config = small_config();
  config["architectures"] = {"MistralForCausalLM"};
  EXPECT_EQ(windows_of(config), (std::vector<std::optional<int32_t>>{4096, 4096}));
  config["sliding_window"] = 16;
  EXPECT_EQ(windows_of(config), (std::vector<std::optional<int32_t>>{16, 16}));
  EXPECT_EQ(parse(config)->spec.common_window(), 16);
  config["sliding_window"] = nullptr;
  EXPECT_EQ(windows_of(config), (std::vector<std::optional<int32_t>>{}));
}

TEST(Config, QwenSaysWhichLayersHaveAWindow) {
  for (const char* architecture : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    json config = small_config();
    config["architectures"] = {architecture};
    config["sliding_window"] = 16;
    config["max_window_layers"] = 1;
    EXPECT_TRUE(windows_of(config).empty());
    config["use_sliding_window"] = true;
    EXPECT_EQ(windows_of(config), (std::vector<std::optional<int32_t>>{std::nullopt, 16}));
    EXPECT_EQ(parse(config)->spec.common_window(), std::nullopt);
    config["layer_types"] = {"sliding_attention", "full_attention"};
    EXPECT_EQ(windows_of(config), (std::vector<std::optional<int32_t>>{16, std::nullopt}));
    config["layer_types"] = {"sliding_attention", "linear_attention"};
    EXPECT_NE(parse(config).error().message.find("linear_attention"), std::string::npos);
    config["layer_types"] = {"sliding_attention"};
    EXPECT_NE(parse(config).error().message.find("num_hidden_layers"), std::string::npos);
  }
}

TEST(Config, QwenHasBiasesAndNormsOfItsOwn) {
  json config = small_config();
  config["architectures"] = {"Qwen2ForCausalLM"};
  const auto second = parse(config);
  ASSERT_TRUE(second.has_value()) << second.error().message;
  EXPECT_TRUE(second->spec.biases.qkv && !second->spec.biases.output && !second->spec.qk_norm);
  config["architectures"] = {"Qwen3ForCausalLM"};
  const auto third = parse(config);
  ASSERT_TRUE(third.has_value()) << third.error().message;
  EXPECT_TRUE(third->spec.qk_norm && !third->spec.biases.qkv);
  EXPECT_EQ(third->head_dim, 128);
}

TEST(Config, RopeScalingStretchesTheLongestSequenceAsVllmDoes) {
  struct Row {
    json scaling;
    int32_t longest;
  };
  const std::vector<Row> rows = {
      {{{"type", "linear"}, {"factor", 2.0}}, 256},
      {{{"rope_type", "dynamic"}, {"factor", 4.0}}, 512},
      {{{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}}, 256},
      {{{"rope_type", "llama3"},
        {"factor", 8.0},
        {"low_freq_factor", 1.0},
        {"high_freq_factor", 4.0},
        {"original_max_position_embeddings", 16}},
       128}};
  for (const Row& row : rows) {
    json config = small_config();
    config["rope_scaling"] = row.scaling;
    const auto parsed = parse(config);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    EXPECT_EQ(parsed->max_position_embeddings, row.longest) << row.scaling;
    EXPECT_NE(parsed->spec.rope->inverse_frequencies, rope_table(5000.0, 8)) << row.scaling;
  }
}

json opt_config() {
  return json::parse(R"({
    "architectures": ["OPTForCausalLM"], "vocab_size": 100, "hidden_size": 32, "ffn_dim": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 128,
    "word_embed_proj_dim": 32, "activation_function": "relu", "do_layer_norm_before": true,
    "_remove_final_layer_norm": false, "torch_dtype": "float16", "eos_token_id": 2})");
}

TEST(Config, OptHasASpecOfItsOwn) {
  const auto config = parse(opt_config());
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->intermediate_size, 64);
  EXPECT_EQ(config->num_kv_heads, 4);
  EXPECT_FALSE(config->spec.rope.has_value());
  EXPECT_EQ(config->spec.learned_positions->offset, 2);
  EXPECT_EQ(config->spec.norm.kind, NormSpec::Kind::kLayer);
  EXPECT_FALSE(config->spec.gated);
  EXPECT_TRUE(config->spec.biases.qkv && config->spec.biases.output);
  EXPECT_TRUE(config->spec.tied_embeddings);
}

TEST(Config, OptRefusesItsOwnVariantsByName) {
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, json>>{{"word_embed_proj_dim", 16},
                                                 {"do_layer_norm_before", false},
                                                 {"_remove_final_layer_norm", true},
                                                 {"activation_function", "gelu"},
                                                 {"layer_norm_elementwise_affine", false}}) {
    json config = opt_config();
    config[key] = value;
    const auto parsed = parse(config);
    ASSERT_FALSE(parsed.has_value()) << key;
    EXPECT_EQ(parsed.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(parsed.error().message.find(key), std::string::npos) << parsed.error().message;
  }
}

struct BadRow {
  const char* key;
  json value;  // null: erase
  ErrorCode code;
  const char* message_part;
};

TEST(Config, RefusesWhatItDoesNotKnowByName) {
  const std::vector<BadRow> rows = {
      {"architectures", json::array({"GPT2LMHeadModel"}), ErrorCode::kUnsupported,
       "GPT2LMHeadModel"},
      {"quantization_config", {{"bits", 4}}, ErrorCode::kUnsupported, "quantization_config"},
      {"rope_scaling",
       {{"rope_type", "llama3"}, {"factor", 8.0}},
       ErrorCode::kMalformed,
       "low_freq_factor"},
      {"rope_scaling", {{"type", "yarn"}}, ErrorCode::kMalformed, "factor"},
      {"rope_parameters",
       {{"rope_type", "linear"}, {"factor", 0.5}},
       ErrorCode::kMalformed,
       "factor"},
      {"rope_scaling", {{"rope_type", "longrope"}}, ErrorCode::kUnsupported, "longrope"},
      {"rope_scaling",
       {{"type", "dynamic"}, {"factor", 2.0}, {"alpha", 1000.0}},
       ErrorCode::kUnsupported,
       "alpha"},
      {"num_local_experts", 8, ErrorCode::kUnsupported, "num_local_experts"},
      {"vision_config", {{"depth", 2}}, ErrorCode::kUnsupported, "vision_config"},
      {"attn_logit_softcapping", 50.0, ErrorCode::kUnsupported, "attn_logit_softcapping"},
      {"hidden_act", "gelu", ErrorCode::kUnsupported, "hidden_act"},
      {"sliding_window", 4096, ErrorCode::kUnsupported, "sliding_window"},
      {"vocab_size", nullptr, ErrorCode::kMalformed, "vocab_size"},
      {"hidden_size", "32", ErrorCode::kMalformed, "hidden_size"},
      {"hidden_size", 33, ErrorCode::kMalformed, "num_attention_heads"},
      {"num_hidden_layers", 0, ErrorCode::kMalformed, "num_hidden_layers"},
      {"num_key_value_heads", 3, ErrorCode::kMalformed, "num_key_value_heads"},
      {"head_dim", 7, ErrorCode::kMalformed, "head_dim"},
      {"rope_theta", -1.0, ErrorCode::kMalformed, "rope_theta"},
      {"rms_norm_eps", 0.0, ErrorCode::kMalformed, "rms_norm_eps"},
      {"torch_dtype", "int8", ErrorCode::kMalformed, "torch_dtype"},
      {"eos_token_id", "x", ErrorCode::kMalformed, "eos_token_id"},
  };
  for (const BadRow& row : rows) {
    json config = small_config();
    if (row.value.is_null()) {
      config.erase(row.key);
    } else {
      config[row.key] = row.value;
    }
    const auto parsed = parse(config);
    ASSERT_FALSE(parsed.has_value()) << row.key;
    EXPECT_NE(parsed.error().message.find(row.message_part), std::string::npos)
        << row.key << ": " << parsed.error().message;
    EXPECT_NE(parsed.error().message.find("config.json"), std::string::npos);
    if (row.code == ErrorCode::kUnsupported) {
      EXPECT_EQ(parsed.error().code, row.code) << parsed.error().message;
    }
  }
}

TEST(Config, EveryTruncationIsAnError) {
  const std::string text = small_config().dump();
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(parse_config("config.json", text.substr(0, length)).has_value()) << length;
  }
}

TEST(GenerationConfig, GivesDefaultsAndReplacesTheEndTokens) {
  auto config = parse(small_config());
  ASSERT_TRUE(config.has_value());
  const auto defaults = parse_generation_config(
      "generation_config.json",
      R"({"temperature": 0.8, "top_p": 0.95, "top_k": null, "eos_token_id": [1, 6], "x": 1})",
      *config);
  ASSERT_TRUE(defaults.has_value()) << defaults.error().message;
  EXPECT_EQ(defaults->temperature, 0.8);
  EXPECT_EQ(defaults->top_p, 0.95);
  EXPECT_EQ(defaults->top_k, std::nullopt);
  EXPECT_EQ(config->eos_token_ids, (std::vector<int32_t>{1, 6}));
}

}  // namespace
}  // namespace touchstone::model
