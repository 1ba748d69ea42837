#include "reference_engine/tokenizer/vocabulary_files.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/text.h"

namespace touchstone::tokenizer {
namespace {

using nlohmann::json;

constexpr std::string_view kDefaultSpecialToken = "<|endoftext|>";

Result<json> read_object(const std::string& path) {
  auto text = read_file(path);
  if (!text) return std::move(text).error();
  json tree = json::parse(*text, nullptr, false);
  if (!tree.is_object()) return malformed(path + ": expected a JSON object");
  return tree;
}

Result<json> read_merges(const std::string& path) {
  json merges = json::array();
  const Status read = for_each_line(path, [&](int64_t line, std::string_view text) -> Status {
    if (text.empty() || (line == 1 && text.substr(0, 9) == "#version:")) return {};
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) {
      return malformed(path + ":" + std::to_string(line) + ": got " + quote(text) +
                       ", expected two parts");
    }
    if (!is_valid_utf8(text)) {
      return malformed(path + ":" + std::to_string(line) + ": expected UTF-8");
    }
    merges.push_back({text.substr(0, space), text.substr(space + 1)});
    return {};
  });
  if (!read) return read.error();
  return merges;
}

// Special tokens by role, each a text or an object with flags.
class SpecialTokens {
 public:
  SpecialTokens(const json& config, const json& map, const json& vocabulary)
      : vocabulary_(vocabulary) {
    for (const char* role : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
      json token = config.is_object() ? config.value(role, json()) : json();
      if (token.is_null() && map.is_object()) token = map.value(role, json());
      if (token.is_null() && std::string_view(role) != "pad_token") token = kDefaultSpecialToken;
      add(role, token);
    }
    for (const json* source : {&config, &map}) {
      if (!source->is_object()) continue;
      for (const json& token : source->value("additional_special_tokens", json::array())) {
        add("", token);
      }
    }
  }

  const json& added_tokens() const { return added_; }
  /// The token of a role, as a template names it; null when the vocabulary has none.
  json token_of(const std::string& role) const { return by_role_.value(role, json()); }

 private:
  void add(const std::string& role, const json& token) {
    const json content = token.is_object() ? token.value("content", json()) : token;
    if (!content.is_string() || !vocabulary_.contains(content.get<std::string>())) return;
    json entry = {
        {"single_word", false}, {"lstrip", false}, {"rstrip", false}, {"normalized", false}};
    if (token.is_object()) entry.update(token);
    entry["id"] = vocabulary_[content.get<std::string>()];
    entry["content"] = content;
    entry["special"] = true;
    if (!role.empty()) by_role_[role] = {{"id", content}, {"ids", {entry["id"]}}};
    for (const json& known : added_) {
      if (known["content"] == content) return;
    }
    added_.push_back(std::move(entry));
  }

  const json& vocabulary_;
  json added_ = json::array();
  json by_role_ = json::object();
};

json template_of(const json& config, const SpecialTokens& tokens) {
  json single = json::array();
  json special = json::object();
  const auto add = [&](const char* flag, const char* role) {
    const json token = tokens.token_of(role);
    if (!config.is_object() || config.value(flag, json()) != true || token.is_null()) return;
    single.push_back({{"SpecialToken", {{"id", token["id"]}}}});
    special[token["id"].get<std::string>()] = token;
  };
  add("add_bos_token", "bos_token");
  single.push_back({{"Sequence", {{"id", "A"}}}});
  add("add_eos_token", "eos_token");
  return {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", special}};
}

}  // namespace

Result<json> tokenizer_json_of_files(const std::string& folder, const json& config) {
  auto vocabulary = read_object(folder + "/vocab.json");
  if (!vocabulary) return std::move(vocabulary).error();
  auto merges = read_merges(folder + "/merges.txt");
  if (!merges) return std::move(merges).error();
  auto map = read_object(folder + "/special_tokens_map.json");
  if (!map && map.error().code != ErrorCode::kNotFound) return std::move(map).error();
  const SpecialTokens tokens(config, map ? *map : json(), *vocabulary);
  const bool prefix_space = config.is_object() && config.value("add_prefix_space", json()) == true;
  return json{
      {"added_tokens", tokens.added_tokens()},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}}},
      {"post_processor", template_of(config, tokens)},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"}, {"vocab", std::move(*vocabulary)}, {"merges", std::move(*merges)}}}};
}

}  // namespace touchstone::tokenizer
