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

}  // namespace

Status load_special_tokens(const std::string& folder, const std::vector<int32_t>& end_ids,
                           ApiContext& context) {
  BASE_CHECK(context.tokenizer != nullptr);
  auto config = read_object(folder + "/tokenizer_config.json");
  if (!config) return std::move(config).error();
  context.bos_token = special_token(*config, "bos_token");
  context.eos_token = special_token(*config, "eos_token");
  context.eos_token_id = context.tokenizer->token_id(context.eos_token);
  if (!context.eos_token_id && !end_ids.empty()) context.eos_token_id = end_ids.front();
  context.extra_eos_token_ids.clear();
  std::copy_if(end_ids.begin(), end_ids.end(), std::back_inserter(context.extra_eos_token_ids),
               [&](int32_t id) { return id != context.eos_token_id; });
  for (int32_t id = 0; id < context.tokenizer->vocab_size(); ++id) {
    const size_t characters = count_characters(context.tokenizer->token_string(id));
    context.max_chars_per_token =
        std::max(context.max_chars_per_token, static_cast<int32_t>(characters));
  }
  return {};
}

}  // namespace touchstone::server::api
