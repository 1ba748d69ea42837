#include "reference_engine/model/config.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/text.h"
#include "reference_engine/model/architectures.h"

namespace touchstone::model {
namespace {

using nlohmann::json;

Error unsupported(const std::string& where, const std::string& what, const std::string& hint = {}) {
  return {ErrorCode::kUnsupported, where + ": " + what, hint};
}

/// The list at `key`, which may be one integer, a list of them, or null.
std::vector<int32_t> token_ids(const Fields& root, const std::string& key) {
  const json& value = root.raw(key);
  std::vector<int32_t> ids;
  const auto add = [&](const json& id) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() > std::numeric_limits<int32_t>::max()) {
      root.fail(key, "got " + quote(id.dump()) + ", expected a token id or a list of token ids");
      return;
    }
    ids.push_back(id.get<int32_t>());
  };
  if (value.is_array()) {
    for (const json& id : value) add(id);
  } else if (!value.is_null()) {
    add(value);
  }
  return ids;
}

/// Keys whose presence changes the arithmetic in a way this program does not know.
Status refuse_unknown_meaning(const Fields& root) {
  if (!root.raw("quantization_config").is_null()) {
    return unsupported(root.where("quantization_config"),
                       "quantization_config: quantized weights are not implemented",
                       "use the unquantized folder");
  }
  struct Expected {
    const char* key;
    json value;
  };
  const Expected table[] = {
      {"attention_bias", false},      {"mlp_bias", false},
      {"hidden_act", "silu"},         {"sliding_window", json()},
      {"partial_rotary_factor", 1.0},
  };
  for (const Expected& row : table) {
    const json& got = root.raw(row.key);
    if (!got.is_null() && got != row.value) {
      return unsupported(root.where(row.key), std::string(row.key) + ": got " + got.dump() +
                                                  ", only " + row.value.dump() + " is implemented");
    }
  }
  return {};
}

Status read_rope(const Fields& root, Config& config) {
  // transformers 4 spells rope_theta beside rope_scaling, 5 puts both into rope_parameters.
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const json& rope = root.raw(key);
    if (rope.is_null()) continue;
    const Fields fields = root.object(key);
    std::string type = fields.optional_string("rope_type").value_or("default");
    if (!fields.has("rope_type")) type = fields.optional_string("type").value_or("default");
    if (type != "default") {
      return unsupported(root.where(key), std::string(key) + ": rope_type " + quote(type) +
                                              " is not implemented, only \"default\" is");
    }
    const double factor = fields.optional_double("partial_rotary_factor").value_or(1.0);
    if (factor != 1.0) {
      return unsupported(root.where(key),
                         std::string(key) + ".partial_rotary_factor: only 1.0 is implemented");
    }
    config.rope_theta = fields.optional_double("rope_theta").value_or(config.rope_theta);
  }
  config.rope_theta = root.optional_double("rope_theta").value_or(config.rope_theta);
  if (!(config.rope_theta > 0)) root.fail("rope_theta", "expected a positive number");
  return {};
}

void read_dtype(const Fields& root, Config& config) {
  const std::vector<std::pair<std::string, DType>> words = {
      {"float32", DType::kFloat32}, {"float16", DType::kFloat16}, {"bfloat16", DType::kBFloat16}};
  const char* key = root.has("dtype") ? "dtype" : "torch_dtype";
  config.dtype = root.optional_enum<DType>(key, words).value_or(DType::kFloat32);
}

int32_t count(const Fields& root, const std::string& key, int64_t fallback) {
  if (fallback == 0) (void)root.required_int(key);
  return static_cast<int32_t>(
      root.int_in(key, fallback, 1, std::numeric_limits<int32_t>::max() / 64));
}

void read_shape(const Fields& root, Config& config) {
  config.vocab_size = count(root, "vocab_size", 0);
  config.hidden_size = count(root, "hidden_size", 0);
  config.intermediate_size = count(root, "intermediate_size", 0);
  config.num_layers = count(root, "num_hidden_layers", 0);
  config.num_heads = count(root, "num_attention_heads", 0);
  config.num_kv_heads =
      count(root, "num_key_value_heads", config.num_heads > 0 ? config.num_heads : 1);
  config.max_position_embeddings = count(root, "max_position_embeddings", 2048);
  if (!root.raw("head_dim").is_null()) {
    config.head_dim = count(root, "head_dim", 0);
  } else if (config.num_heads > 0) {
    config.head_dim = config.hidden_size / config.num_heads;
    if (config.hidden_size % config.num_heads != 0) {
      root.fail("num_attention_heads", "got " + std::to_string(config.num_heads) +
                                           ", expected a divisor of hidden_size " +
                                           std::to_string(config.hidden_size));
    }
  }
  if (config.num_kv_heads > 0 && config.num_heads % config.num_kv_heads != 0) {
    root.fail("num_key_value_heads", "got " + std::to_string(config.num_kv_heads) +
                                         ", expected a divisor of num_attention_heads " +
                                         std::to_string(config.num_heads));
  }
  if (config.head_dim % 2 != 0) {
    root.fail("head_dim", "got " + std::to_string(config.head_dim) +
                              ", expected an even number (rotary embedding works on pairs)");
  }
}

}  // namespace

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kFloat16:
      return "float16";
    case DType::kBFloat16:
      return "bfloat16";
  }
  return "?";
}

int64_t size_of(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

Result<Config> parse_config(const std::string& name, std::string_view text) {
  auto document = Document::parse_json(name, text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  const Fields root = document->root();
  Config config;
  const std::vector<std::string> architectures = root.strings("architectures");
  if (architectures.size() != 1 || find_architecture(architectures[0]) == nullptr) {
    RETURN_IF_ERROR(document->finish());
    return unsupported(root.where("architectures"),
                       "architectures: got [" + join(architectures, ", ") +
                           "], implemented: " + join(architecture_names(), ", "));
  }
  config.architecture = architectures[0];
  RETURN_IF_ERROR(refuse_unknown_meaning(root));
  read_shape(root, config);
  read_dtype(root, config);
  RETURN_IF_ERROR(read_rope(root, config));
  config.rms_norm_eps = root.optional_double("rms_norm_eps").value_or(1e-6);
  if (!(config.rms_norm_eps > 0)) root.fail("rms_norm_eps", "expected a positive number");
  config.tie_word_embeddings = root.optional_bool("tie_word_embeddings").value_or(false);
  config.eos_token_ids = token_ids(root, "eos_token_id");
  const std::vector<int32_t> bos = token_ids(root, "bos_token_id");
  if (!bos.empty()) config.bos_token_id = bos.front();
  RETURN_IF_ERROR(document->finish());
  return config;
}

Result<GenerationDefaults> parse_generation_config(const std::string& name, std::string_view text,
                                                   Config& config) {
  auto document = Document::parse_json(name, text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  const Fields root = document->root();
  GenerationDefaults defaults;
  const auto as_int32 = [&](const std::string& key) -> std::optional<int32_t> {
    if (root.raw(key).is_null()) return std::nullopt;
    return static_cast<int32_t>(root.int_in(key, 0, 0, std::numeric_limits<int32_t>::max()));
  };
  const auto as_double = [&](const std::string& key) -> std::optional<double> {
    return root.raw(key).is_null() ? std::nullopt : root.optional_double(key);
  };
  defaults.temperature = as_double("temperature");
  defaults.top_p = as_double("top_p");
  defaults.top_k = as_int32("top_k");
  defaults.min_p = as_double("min_p");
  defaults.repetition_penalty = as_double("repetition_penalty");
  defaults.max_new_tokens = as_int32("max_new_tokens");
  const std::vector<int32_t> eos = token_ids(root, "eos_token_id");
  if (!eos.empty()) config.eos_token_ids = eos;
  RETURN_IF_ERROR(document->finish());
  return defaults;
}

}  // namespace touchstone::model
