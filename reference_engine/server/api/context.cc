#include "reference_engine/server/api/context.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/files.h"
#include "base/utf8.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;

// The JSON object in a file; an empty one when there is no file.
Result<json> read_object(const std::string& path) {
  auto text = read_file(path);
  if (!text) {
    if (text.error().code == ErrorCode::kNotFound) return json::object();
    return std::move(text).error();
  }
  json tree = json::parse(*text, nullptr, false);
  if (!tree.is_object()) return malformed(path + ": expected a JSON object");
  return tree;
}

std::string special_token(const json& config, const char* key) {
  const json value = config.value(key, json());
  const json text = value.is_object() ? value.value("content", json()) : value;
  return text.is_string() ? text.get<std::string>() : std::string();
}

std::vector<int32_t> token_ids(const json& value) {
  std::vector<int32_t> ids;
  const auto add = [&](const json& id) {
    if (id.is_number_integer()) ids.push_back(id.get<int32_t>());
  };
  if (value.is_array()) {
    for (const json& id : value) add(id);
  } else {
    add(value);
  }
  return ids;
}

std::optional<double> number(const json& config, const char* key) {
  const json value = config.value(key, json());
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

std::optional<int32_t> integer(const json& config, const char* key) {
  const json value = config.value(key, json());
  if (!value.is_number_integer()) return std::nullopt;
  return value.get<int32_t>();
}

}  // namespace

Status load_model_defaults(const std::string& folder, ApiContext& context) {
  BASE_CHECK(context.tokenizer != nullptr);
  auto tokenizer_config = read_object(folder + "/tokenizer_config.json");
  if (!tokenizer_config) return std::move(tokenizer_config).error();
  auto generation = read_object(folder + "/generation_config.json");
  if (!generation) return std::move(generation).error();
  auto model = read_object(folder + "/config.json");
  if (!model) return std::move(model).error();

  context.bos_token = special_token(*tokenizer_config, "bos_token");
  context.eos_token = special_token(*tokenizer_config, "eos_token");
  std::vector<int32_t> ends = token_ids(generation->value("eos_token_id", json()));
  if (ends.empty()) ends = token_ids(model->value("eos_token_id", json()));
  context.eos_token_id = context.tokenizer->token_id(context.eos_token);
  if (!context.eos_token_id && !ends.empty()) context.eos_token_id = ends.front();
  std::copy_if(ends.begin(), ends.end(), std::back_inserter(context.extra_eos_token_ids),
               [&](int32_t id) { return id != context.eos_token_id; });

  GenerationDefaults& defaults = context.defaults;
  defaults.temperature = number(*generation, "temperature");
  defaults.top_p = number(*generation, "top_p");
  defaults.top_k = integer(*generation, "top_k");
  defaults.min_p = number(*generation, "min_p");
  defaults.repetition_penalty = number(*generation, "repetition_penalty");
  defaults.max_tokens = integer(*generation, "max_new_tokens");

  for (int32_t id = 0; id < context.tokenizer->vocab_size(); ++id) {
    const size_t characters = count_characters(context.tokenizer->token_string(id));
    context.max_chars_per_token =
        std::max(context.max_chars_per_token, static_cast<int32_t>(characters));
  }
  return {};
}

}  // namespace touchstone::server::api
