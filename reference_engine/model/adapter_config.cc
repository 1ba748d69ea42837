#include "reference_engine/model/adapter_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/text.h"
#include "reference_engine/model/config_fields.h"

namespace touchstone::model {
namespace {

using nlohmann::json;

constexpr int64_t kRankMax = 1 << 16;

/// Whether a key of a pattern means the module: the name, or its end after a dot.
bool matches(std::string_view key, std::string_view module) {
  if (!module.ends_with(key)) return false;
  return module.size() == key.size() || module[module.size() - key.size() - 1] == '.';
}

/// Those that may say nothing: null, an empty list or an empty object.
Status refuse_values(const Fields& root, const std::vector<const char*>& keys) {
  for (const char* key : keys) {
    const json& got = root.raw(key);
    if (got.is_null() || (got.is_structured() && got.empty())) continue;
    return unsupported(root.where(key),
                       std::string(key) + ": got " + got.dump() + ", only null is implemented");
  }
  return {};
}

/// PiSSA, OLoRA and their like change the base model's weights when PEFT loads the adapter.
Status check_init(const Fields& root) {
  static const std::vector<std::string> kHarmless = {"gaussian", "eva", "orthogonal", "mica",
                                                     "lora_ga"};
  const json& got = root.raw("init_lora_weights");
  if (!got.is_string()) return {};
  const std::string init = to_lower(got.get<std::string>());
  if (std::find(kHarmless.begin(), kHarmless.end(), init) != kHarmless.end()) return {};
  return unsupported(root.where("init_lora_weights"),
                     "init_lora_weights: got " + quote(init) + ", which changes the base model",
                     "PEFT's path_initial_model_for_weight_conversion makes a plain adapter of it");
}

Status check_target_modules(const Fields& root) {
  const json& got = root.raw("target_modules");
  if (got.is_string()) return {};
  if (got.is_null()) return malformed(root.where() + ": target_modules: is missing");
  (void)root.strings("target_modules");
  return {};
}

/// PEFT takes the keys as regular expressions. Those that are no more than a name are implemented,
/// a dot being a dot; where two would mean one module and say different things, PEFT goes by their
/// order, which a JSON object need not have.
template <typename T, typename Read>
Status read_pattern(const Fields& root, const char* key, const Read& read,
                    std::vector<std::pair<std::string, T>>& out) {
  const Fields pattern = root.object(key);
  for (const std::string& module : pattern.keys()) {
    const bool is_name = std::all_of(module.begin(), module.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
    });
    if (module.empty() || !is_name) {
      return unsupported(pattern.where(module), std::string(key) + ": got the pattern " +
                                                    quote(module) +
                                                    ", only names of modules are implemented");
    }
    const T value = read(pattern, module);
    for (const auto& [other, others_value] : out) {
      if ((matches(other, module) || matches(module, other)) && others_value != value) {
        return unsupported(pattern.where(module), std::string(key) + ": " + quote(other) + " and " +
                                                      quote(module) + " mean the same modules");
      }
    }
    out.emplace_back(module, value);
  }
  return {};
}

template <typename T>
T value_of(const std::vector<std::pair<std::string, T>>& pattern, std::string_view module,
           T fallback) {
  for (const auto& [key, value] : pattern) {
    if (matches(key, module)) return value;
  }
  return fallback;
}

}  // namespace

int32_t AdapterConfig::largest_rank() const {
  int32_t largest = rank;
  for (const auto& [module, one] : rank_pattern) largest = std::max(largest, one);
  return largest;
}

AdapterConfig::Shape AdapterConfig::shape_of(std::string_view module) const {
  const int32_t own_rank = value_of(rank_pattern, module, rank);
  const double own_alpha = value_of(alpha_pattern, module, alpha);
  const double divisor = own_rank;
  return {own_rank, own_alpha / (rslora ? std::sqrt(divisor) : divisor)};
}

Result<AdapterConfig> parse_adapter_config(const std::string& name, std::string_view text) {
  auto document = Document::parse_json(name, text);
  if (!document) return std::move(document).error();
  document->ignore_unknown_keys();
  const Fields root = document->root();
  RETURN_IF_ERROR(refuse_other_values(root, {{"peft_type", "LORA"},
                                             {"use_dora", false},
                                             {"bias", "none"},
                                             {"lora_bias", false},
                                             {"use_qalora", false}}));
  RETURN_IF_ERROR(
      refuse_values(root, {"modules_to_save", "alora_invocation_tokens", "layer_replication",
                           "use_bdlora", "trainable_token_indices", "target_parameters"}));
  RETURN_IF_ERROR(check_init(root));
  RETURN_IF_ERROR(check_target_modules(root));
  AdapterConfig config;
  (void)root.required_int("r");
  config.rank = static_cast<int32_t>(root.int_in("r", 1, 1, kRankMax));
  config.alpha = root.required_double("lora_alpha");
  config.rslora = root.optional_bool("use_rslora").value_or(false);
  RETURN_IF_ERROR(read_pattern(
      root, "rank_pattern",
      [](const Fields& pattern, const std::string& module) {
        return static_cast<int32_t>(pattern.int_in(module, 1, 1, kRankMax));
      },
      config.rank_pattern));
  RETURN_IF_ERROR(read_pattern(
      root, "alpha_pattern",
      [](const Fields& pattern, const std::string& module) {
        return pattern.required_double(module);
      },
      config.alpha_pattern));
  RETURN_IF_ERROR(document->finish());
  return config;
}

}  // namespace touchstone::model
