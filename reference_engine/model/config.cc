#include "reference_engine/model/config.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/text.h"
#include "reference_engine/model/architectures.h"
#include "reference_engine/model/config_fields.h"

namespace touchstone::model {
namespace {

using nlohmann::json;

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

/// Keys of what no architecture here computes, whatever it calls itself.
Status refuse_foreign_keys(const Fields& root) {
  struct Foreign {
    const char* key;
    const char* what;
  };
  constexpr const char* kQuantized = "quantized weights are not implemented";
  constexpr const char* kExperts = "mixtures of experts are not implemented";
  constexpr const char* kSenses = "images and sound are not implemented";
  constexpr const char* kCapped = "capped or scaled logits are not implemented";
  for (const Foreign& row : {Foreign{"quantization_config", kQuantized},
                             {"compression_config", kQuantized},
                             {"num_local_experts", kExperts},
                             {"num_experts", kExperts},
                             {"n_routed_experts", kExperts},
                             {"moe_intermediate_size", kExperts},
                             {"vision_config", kSenses},
                             {"audio_config", kSenses},
                             {"attn_logit_softcapping", kCapped},
                             {"final_logit_softcapping", kCapped},
                             {"logit_scale", kCapped}}) {
    if (root.raw(row.key).is_null()) continue;
    return unsupported(root.where(row.key), std::string(row.key) + ": " + row.what,
                       row.what == kQuantized ? "use the unquantized folder" : "");
  }
  return {};
}

void read_dtype(const Fields& root, Config& config) {
  const std::vector<std::pair<std::string, DType>> words = {
      {"float32", DType::kFloat32}, {"float16", DType::kFloat16}, {"bfloat16", DType::kBFloat16}};
  const char* key = root.has("dtype") ? "dtype" : "torch_dtype";
  config.dtype = root.optional_enum<DType>(key, words).value_or(DType::kFloat32);
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
  RETURN_IF_ERROR(refuse_foreign_keys(root));
  RETURN_IF_ERROR(find_architecture(config.architecture)->read(root, config));
  read_dtype(root, config);
  config.eos_token_ids = token_ids(root, "eos_token_id");
  const std::vector<int32_t> bos = token_ids(root, "bos_token_id");
  if (!bos.empty()) config.bos_token_id = bos.front();
  RETURN_IF_ERROR(document->finish());
  return config;
}

Result<GenerationDefaults> parse_generation_config(const std::string& name, std::string_view text,
                                                   Config& config, OtherKeys others) {
  auto document = Document::parse_json(name, text);
  if (!document) return std::move(document).error();
  if (others == OtherKeys::kIgnored) document->ignore_unknown_keys();
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

GenerationDefaults overridden(const GenerationDefaults& base, const GenerationDefaults& over) {
  const auto either = [](const auto& first, const auto& second) { return first ? first : second; };
  return {.temperature = either(over.temperature, base.temperature),
          .top_p = either(over.top_p, base.top_p),
          .top_k = either(over.top_k, base.top_k),
          .min_p = either(over.min_p, base.min_p),
          .repetition_penalty = either(over.repetition_penalty, base.repetition_penalty),
          .max_new_tokens = either(over.max_new_tokens, base.max_new_tokens)};
}

}  // namespace touchstone::model
