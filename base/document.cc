#include "base/document.h"

#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace touchstone {

using nlohmann::json;

struct Document::State {
  std::string name;
  json tree;
  std::optional<int64_t> line;           // of a JSON line
  std::map<std::string, int64_t> lines;  // of a YAML file, by JSON pointer
  std::optional<Error> error;
  std::set<std::string> known;  // JSON pointers that somebody asked for
  std::set<std::string> known_trees;
  bool ignore_unknown = false;
};

namespace {

const json& null_json() {
  static const json kNull;
  return kNull;
}

/// "/load/requests/3" → "load.requests[3]".
std::string readable(const std::string& pointer) {
  std::string result;
  if (pointer.empty()) return result;
  for (const std::string& part : split(std::string_view(pointer).substr(1), '/')) {
    if (!result.empty() && parse_int(part)) {
      result += "[" + part + "]";
    } else {
      result += (result.empty() ? "" : ".") + part;
    }
  }
  return result;
}

std::string shown(const json& value) {
  if (value.is_string()) return quote(value.get_ref<const std::string&>());
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "…";
  return text;
}

/// YAML 1.2 core schema for plain scalars; quoted ones are strings.
json scalar_to_json(const YAML::Node& node) {
  const std::string text = node.Scalar();
  if (node.Tag() == "!") return text;
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true") return true;
  if (text == "false") return false;
  if (const auto integer = parse_int(text)) return *integer;
  if (const auto number = parse_double(text)) return *number;
  return text;
}

struct YamlReader {
  std::map<std::string, int64_t>& lines;
  std::optional<Error> error;
  const std::string& name;

  json read(const YAML::Node& node, const std::string& pointer) {
    if (node.Mark().line >= 0) lines[pointer] = node.Mark().line + 1;
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return scalar_to_json(node);
      case YAML::NodeType::Sequence: {
        json list = json::array();
        for (const YAML::Node& item : node) {
          list.push_back(read(item, pointer + "/" + std::to_string(list.size())));
        }
        return list;
      }
      case YAML::NodeType::Map: {
        json object = json::object();
        for (const auto& entry : node) {
          const std::string key = entry.first.Scalar();
          if (object.contains(key) && !error) {
            error = invalid_argument(name + ":" + std::to_string(entry.first.Mark().line + 1) +
                                     ": " + readable(pointer + "/" + key) +
                                     ": got the key twice, expected it once");
          }
          object[key] = read(entry.second, pointer + "/" + key);
          lines[pointer + "/" + key] = entry.first.Mark().line + 1;
        }
        return object;
      }
      default:
        return nullptr;
    }
  }
};

}  // namespace

Document::Document(std::unique_ptr<State> state) : state_(std::move(state)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Result<Document> Document::parse_yaml(const std::string& name, std::string_view text) {
  auto state = std::make_unique<State>();
  state->name = name;
  try {
    YamlReader reader{state->lines, std::nullopt, name};
    state->tree = reader.read(YAML::Load(std::string(text)), "");
    if (reader.error) return *std::move(reader.error);
  } catch (const YAML::Exception& problem) {
    return invalid_argument(name + ":" + std::to_string(problem.mark.line + 1) +
                            ": not valid YAML: " + problem.msg);
  }
  return Document(std::move(state));
}

Result<Document> Document::parse_json(const std::string& name, std::string_view text) {
  auto state = std::make_unique<State>();
  state->name = name;
  try {
    state->tree = json::parse(text);
  } catch (const json::exception& problem) {
    return malformed(name + ": not valid JSON: " + problem.what());
  }
  return Document(std::move(state));
}

Result<Document> Document::parse_json_line(const std::string& name, int64_t line,
                                           std::string_view text) {
  Result<Document> document = parse_json(name + ":" + std::to_string(line), text);
  if (document) {
    document->state_->name = name;
    document->state_->line = line;
  }
  return document;
}

Document Document::wrap(const std::string& name, const json& tree) {
  auto state = std::make_unique<State>();
  state->name = name;
  state->tree = tree;
  return Document(std::move(state));
}

Fields Document::root() {
  if (!state_->tree.is_object()) {
    fail("", "got " + shown(state_->tree) + ", expected an object");
    return Fields(state_.get(), nullptr, "");
  }
  return Fields(state_.get(), &state_->tree, "");
}

const json& Document::tree() const { return state_->tree; }

std::string Document::where(const std::string& pointer) const {
  if (state_->line) return state_->name + ":" + std::to_string(*state_->line);
  const auto found = state_->lines.find(pointer);
  if (found == state_->lines.end()) return state_->name;
  return state_->name + ":" + std::to_string(found->second);
}

void Document::fail(const std::string& pointer, const std::string& problem,
                    const std::string& hint) {
  if (state_->error) return;
  const std::string field = readable(pointer);
  state_->error =
      invalid_argument(where(pointer) + ": " + (field.empty() ? "" : field + ": ") + problem, hint);
}

void Document::ignore_unknown_keys() { state_->ignore_unknown = true; }

Status Document::finish() {
  if (state_->error) return *state_->error;
  if (state_->ignore_unknown) return {};
  // Depth first, in the tree's own (sorted) order, so the first unknown key is always the same.
  std::function<void(const nlohmann::json&, const std::string&)> visit =
      [&](const nlohmann::json& node, const std::string& pointer) {
        if (state_->error || state_->known_trees.contains(pointer)) return;
        if (node.is_object()) {
          for (const auto& [key, value] : node.items()) {
            const std::string child = pointer + "/" + key;
            if (!state_->known.contains(child)) {
              std::vector<std::string> siblings;
              for (const std::string& known : state_->known) {
                if (known.size() > pointer.size() + 1 && known.starts_with(pointer + "/") &&
                    known.find('/', pointer.size() + 1) == std::string::npos) {
                  siblings.push_back(known.substr(pointer.size() + 1));
                }
              }
              const auto guess = nearest(key, siblings);
              fail(child, "unknown key, expected one of: " + join(siblings, ", "),
                   guess ? "did you mean " + quote(*guess) + "?" : "");
              return;
            }
            visit(value, child);
          }
        } else if (node.is_array()) {
          for (size_t i = 0; i < node.size(); ++i) {
            visit(node[i], pointer + "/" + std::to_string(i));
          }
        }
      };
  visit(state_->tree, "");
  if (state_->error) return *state_->error;
  return {};
}

const json* Fields::find(const std::string& key, bool required) const {
  state_->known.insert(pointer_ + "/" + key);
  if (object_ != nullptr) {
    const auto found = object_->find(key);
    if (found != object_->end() && !found->is_null()) return &*found;
  }
  if (required && object_ != nullptr) {
    const auto typo = nearest(key, keys());
    fail("", "missing key " + quote(key),
         typo && !state_->known.contains(pointer_ + "/" + *typo)
             ? "is " + quote(*typo) + " meant to be " + quote(key) + "?"
             : "");
  }
  return nullptr;
}

void Fields::fail(const std::string& key, const std::string& problem,
                  const std::string& hint) const {
  if (state_->error) return;
  const std::string pointer = key.empty() ? pointer_ : pointer_ + "/" + key;
  const std::string field = readable(pointer);
  state_->error =
      invalid_argument(where(key) + ": " + (field.empty() ? "" : field + ": ") + problem, hint);
}

std::string Fields::where(const std::string& key) const {
  if (state_->line) return state_->name + ":" + std::to_string(*state_->line);
  const auto found = state_->lines.find(key.empty() ? pointer_ : pointer_ + "/" + key);
  if (found == state_->lines.end()) return state_->name;
  return state_->name + ":" + std::to_string(found->second);
}

void Fields::fail_type(const std::string& key, const char* expected) const {
  fail(key, "got " + shown(raw(key)) + ", expected " + expected);
}

void Fields::fail_enum(const std::string& key, const std::string& got,
                       const std::vector<std::string>& words) const {
  const auto guess = nearest(got, words);
  fail(key, "got " + quote(got) + ", expected one of: " + join(words, ", "),
       guess ? "did you mean " + quote(*guess) + "?" : "");
}

bool Fields::has(const std::string& key) const { return find(key, false) != nullptr; }

std::vector<std::string> Fields::keys() const {
  std::vector<std::string> result;
  if (object_ != nullptr) {
    for (const auto& [key, value] : object_->items()) result.push_back(key);
  }
  return result;
}

const json& Fields::raw(const std::string& key) const {
  const json* value = find(key, false);
  return value == nullptr ? null_json() : *value;
}

std::optional<std::string> Fields::optional_string(const std::string& key) const {
  const json* value = find(key, false);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    fail_type(key, "a string");
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::optional<int64_t> Fields::optional_int(const std::string& key) const {
  const json* value = find(key, false);
  if (value == nullptr) return std::nullopt;
  const bool fits = value->is_number_integer() &&
                    (!value->is_number_unsigned() || value->get<uint64_t>() <= INT64_MAX);
  if (!fits) {
    fail_type(key, "an integer");
    return std::nullopt;
  }
  return value->get<int64_t>();
}

std::optional<double> Fields::optional_double(const std::string& key) const {
  const json* value = find(key, false);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    fail_type(key, "a number");
    return std::nullopt;
  }
  return value->get<double>();
}

std::optional<bool> Fields::optional_bool(const std::string& key) const {
  const json* value = find(key, false);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) {
    fail_type(key, "true or false");
    return std::nullopt;
  }
  return value->get<bool>();
}

std::optional<int64_t> Fields::optional_duration_ns(const std::string& key) const {
  const auto text = optional_string(key);
  if (!text) return std::nullopt;
  const Result<int64_t> duration = parse_duration_ns(*text);
  if (!duration) {
    fail(key, duration.error().message);
    return std::nullopt;
  }
  return *duration;
}

std::string Fields::required_string(const std::string& key) const {
  return find(key, true) == nullptr ? std::string() : optional_string(key).value_or("");
}
int64_t Fields::required_int(const std::string& key) const {
  return find(key, true) == nullptr ? 0 : optional_int(key).value_or(0);
}
double Fields::required_double(const std::string& key) const {
  return find(key, true) == nullptr ? 0 : optional_double(key).value_or(0);
}
bool Fields::required_bool(const std::string& key) const {
  return find(key, true) == nullptr ? false : optional_bool(key).value_or(false);
}

int64_t Fields::int_in(const std::string& key, int64_t fallback, int64_t low, int64_t high) const {
  const auto value = optional_int(key);
  if (!value) return fallback;
  if (*value < low || *value > high) {
    fail(key, "got " + std::to_string(*value) + ", expected " + std::to_string(low) + " to " +
                  std::to_string(high));
    return fallback;
  }
  return *value;
}

std::vector<std::string> Fields::strings(const std::string& key) const {
  std::vector<std::string> result;
  const json* value = find(key, false);
  if (value == nullptr) return result;
  if (!value->is_array()) {
    fail_type(key, "a list of strings");
    return result;
  }
  for (const json& item : *value) {
    if (!item.is_string()) {
      fail_type(key, "a list of strings");
      return {};
    }
    result.push_back(item.get<std::string>());
  }
  return result;
}

std::vector<int64_t> Fields::ints(const std::string& key) const {
  std::vector<int64_t> result;
  const json* value = find(key, false);
  if (value == nullptr) return result;
  if (!value->is_array()) {
    fail_type(key, "a list of integers");
    return result;
  }
  result.reserve(value->size());
  for (const json& item : *value) {
    if (!item.is_number_integer()) {
      fail_type(key, "a list of integers");
      return {};
    }
    result.push_back(item.get<int64_t>());
  }
  return result;
}

Fields Fields::object(const std::string& key) const {
  const json* value = find(key, false);
  if (value != nullptr && !value->is_object()) {
    fail_type(key, "an object");
    value = nullptr;
  }
  return Fields(state_, value, pointer_ + "/" + key);
}

Fields Fields::required_object(const std::string& key) const {
  (void)find(key, true);
  return object(key);
}

std::vector<Fields> Fields::objects(const std::string& key) const {
  std::vector<Fields> result;
  const json* value = find(key, false);
  if (value == nullptr) return result;
  if (!value->is_array()) {
    fail_type(key, "a list of objects");
    return result;
  }
  for (size_t i = 0; i < value->size(); ++i) {
    if (!(*value)[i].is_object()) {
      fail(key,
           "element " + std::to_string(i) + ": got " + shown((*value)[i]) + ", expected an object");
      return {};
    }
    result.push_back(Fields(state_, &(*value)[i], pointer_ + "/" + key + "/" + std::to_string(i)));
  }
  return result;
}

std::vector<std::pair<std::string, Fields>> Fields::named_objects(const std::string& key) const {
  std::vector<std::pair<std::string, Fields>> result;
  const Fields parent = object(key);
  for (const std::string& name : parent.keys()) result.emplace_back(name, parent.object(name));
  return result;
}

void Fields::accept(const std::string& key) const { state_->known.insert(pointer_ + "/" + key); }

void Fields::accept_all() const { state_->known_trees.insert(pointer_); }

}  // namespace touchstone
