#include "cli/serve_arguments.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/document.h"
#include "base/files.h"
#include "base/text.h"
#include "cli/unhonoured_flags.h"

namespace touchstone::cli {
namespace {

using nlohmann::json;

bool is_flag(const std::string& word) {
  return word.size() >= 2 && word[0] == '-' &&
         std::isdigit(static_cast<unsigned char>(word[1])) == 0;
}

/// "--max_model_len=5" → "--max-model-len=5".
std::string normal_name(const std::string& word) {
  const size_t equals = std::min(word.find('='), word.size());
  std::string name = word.substr(0, equals);
  if (name.starts_with("--")) {
    std::replace(name.begin(),
                 name.begin() + static_cast<ptrdiff_t>(std::min(name.find('.'), equals)), '_', '-');
  }
  return name + word.substr(equals);
}

/// "--some-config.key.other value" → "--some-config" {"key":{"other":value}}.
void join_dotted(std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    const size_t dot = name.find('.');
    if (!name.starts_with("--") || dot == std::string::npos) continue;
    const bool glued = equals != std::string::npos;
    if (!glued && i + 1 == words.size()) return;
    const std::string text = glued ? words[i].substr(equals + 1) : words[i + 1];
    json value = json::parse(text, nullptr, false);
    if (value.is_discarded()) value = text;
    std::vector<std::string> keys = split(name.substr(dot + 1), '.');
    for (; !keys.empty(); keys.pop_back()) value = json{{keys.back(), value}};
    words[i] = name.substr(0, dot);
    if (glued) words.emplace(words.begin() + static_cast<ptrdiff_t>(i) + 1);
    words[i + 1] = value.dump();
  }
}

/// The long name of `word`'s flag when vLLM has a short one; with "-O3" and "-tp=2" its value, too.
std::vector<std::string> with_long_name(const std::string& word) {
  if (!is_flag(word)) return {word};
  const std::string normal = normal_name(word);
  const size_t equals = std::min(normal.find('='), normal.size());
  const std::string name = normal.substr(0, equals);
  for (const UnhonouredFlag& flag : unhonoured_flags()) {
    if (*flag.alias == '\0') continue;
    if (name == flag.alias) return {flag.name + normal.substr(equals)};
    const bool glued = std::string_view(flag.alias) == "-O" && name.starts_with("-O");
    if (glued) return {flag.name, normal.substr(2)};
  }
  return {normal};
}

std::string name_of(const std::string& word) { return word.substr(0, word.find('=')); }

/// "--no-enable-x" and "--enable-x" set the same thing.
std::string subject_of(const std::string& name) {
  return name.starts_with("--no-") ? "--" + name.substr(5) : name;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// What a key of the file stands for on a command line.
std::vector<std::string> words_of(const std::string& flag, const json& value, const CLI::App& app) {
  if (value.is_boolean()) {
    if (value.get<bool>()) return {flag};
    const std::string off = "--no-" + flag.substr(2);
    if (app.get_option_no_throw(off) != nullptr) return {off};
    return {};  // a switch that is off unless it is given
  }
  std::vector<std::string> words;
  if (value.is_array()) {
    for (const json& item : value) words.push_back(text_of(item));
    if (!words.empty()) words.insert(words.begin(), flag);
    return words;
  }
  return {flag, text_of(value)};
}

Result<std::vector<std::string>> words_of_file(const std::string& path,
                                               const std::set<std::string>& given, bool has_model,
                                               const CLI::App& app) {
  const auto text = read_file(path);
  if (!text) return Error{text.error()}.with_context("--config");
  auto document = Document::parse_yaml(path, *text);
  if (!document) return std::move(document).error().with_context("--config");
  const Fields root = document->root();
  std::vector<std::string> words;
  for (const std::string& key : root.keys()) {
    const std::string flag = with_long_name("--" + key).front();
    if (app.get_option_no_throw(flag) == nullptr) {
      return invalid_argument(root.where(key) + ": " + key + ": expected the name of a flag",
                              "see `touchstone serve --help`");
    }
    if (given.contains(subject_of(flag)) || (flag == "--model" && has_model)) continue;
    for (std::string& word : words_of(flag, root.raw(key), app)) words.push_back(std::move(word));
  }
  root.accept_all();
  RETURN_IF_ERROR(document->finish());
  return words;
}

/// Takes `--config FILE` or `--config=FILE` out of `words`.
Result<std::optional<std::string>> take_config(std::vector<std::string>& words) {
  std::optional<std::string> path;
  for (size_t i = 0; i < words.size();) {
    if (name_of(words[i]) != "--config") {
      ++i;
      continue;
    }
    if (path) return invalid_argument("--config: got two, expected one file");
    const auto at = words.begin() + static_cast<ptrdiff_t>(i);
    const bool glued = words[i].find('=') != std::string::npos;
    if (!glued && i + 1 == words.size()) {
      return invalid_argument("--config: got nothing, expected a YAML file");
    }
    path = glued ? words[i].substr(words[i].find('=') + 1) : words[i + 1];
    words.erase(at, at + (glued ? 1 : 2));
  }
  return path;
}

}  // namespace

Result<std::vector<std::string>> serve_arguments(const std::vector<std::string>& words,
                                                 const CLI::App& app) {
  std::vector<std::string> normal;
  for (const std::string& word : words) {
    for (std::string& each : with_long_name(word)) normal.push_back(std::move(each));
  }
  join_dotted(normal);
  auto path = take_config(normal);
  if (!path) return path.error();
  if (!*path) return normal;
  std::set<std::string> given;
  for (const std::string& word : normal) {
    if (is_flag(word)) given.insert(subject_of(name_of(word)));
  }
  // A first word that is no flag can only be the model.
  const bool has_model = given.contains("--model") || (!normal.empty() && !is_flag(normal[0]));
  auto held = words_of_file(**path, given, has_model, app);
  if (!held) return held.error();
  // The model first: flags with several values would take it for one of theirs.
  const auto place = normal.begin() + (has_model && !given.contains("--model") ? 1 : 0);
  normal.insert(place, held->begin(), held->end());
  return normal;
}

}  // namespace touchstone::cli
