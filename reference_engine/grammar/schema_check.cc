#include "reference_engine/grammar/schema_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/text.h"

namespace touchstone::grammar {
namespace {

using nlohmann::json;

constexpr const char* kFormats[] = {"email",         "date",
                                    "time",          "date-time",
                                    "duration",      "ipv4",
                                    "ipv6",          "hostname",
                                    "uuid",          "uri",
                                    "uri-reference", "uri-template",
                                    "json-pointer",  "relative-json-pointer"};

// Left out wherever they stand.
constexpr const char* kIgnored[] = {
    "not",         "if",       "then",        "else",       "dependentRequired", "dependentSchemas",
    "uniqueItems", "contains", "minContains", "maxContains"};

// Their values are schemas by name, or no schemas at all: keys in them are no keywords.
constexpr const char* kNamedSchemas[] = {"properties", "patternProperties", "$defs", "definitions"};
constexpr const char* kPlainValues[] = {"enum", "const", "default", "examples", "required"};

bool is_one_of(const std::string& word, std::span<const char* const> words) {
  return std::ranges::any_of(words, [&](const char* each) { return word == each; });
}

bool has_type(const json& schema, std::string_view type) {
  const auto found = schema.find("type");
  if (found == schema.end()) return false;
  if (found->is_string()) return *found == type;
  return found->is_array() && std::ranges::any_of(*found, [&](const json& t) { return t == type; });
}

bool has_any(const json& schema, std::initializer_list<const char*> keys) {
  return std::ranges::any_of(keys, [&](const char* key) { return schema.contains(key); });
}

/// The combination that would be left out, if there is one.
std::optional<std::string> ignored_part(const json& schema) {
  for (const char* key : kIgnored) {
    if (schema.contains(key) && schema[key] != json(false)) return key;
  }
  if (schema.contains("multipleOf")) return "multipleOf";
  const auto format = schema.find("format");
  if (format != schema.end() && has_type(schema, "string")) {
    if (!format->is_string() || !is_one_of(format->get<std::string>(), kFormats)) {
      return "format " + format->dump();
    }
  }
  const bool lengths = has_any(schema, {"minLength", "maxLength"});
  if (lengths && has_any(schema, {"pattern", "format"})) {
    return "minLength or maxLength together with pattern or format";
  }
  if (schema.contains("propertyNames") &&
      has_any(schema, {"properties", "patternProperties", "unevaluatedProperties"})) {
    return "propertyNames together with properties";
  }
  const auto patterns = schema.find("patternProperties");
  if (patterns != schema.end() && (schema.contains("properties") || patterns->size() > 1)) {
    return "patternProperties together with properties, or more than one of them";
  }
  const auto all = schema.find("allOf");
  if (all != schema.end() && all->is_array() && all->size() > 1) return "allOf of more than one";
  return std::nullopt;
}

Status check(const json& schema, const std::string& place, int depth_left);

Status check_children(const json& schema, const std::string& place, int depth_left) {
  for (const auto& [key, value] : schema.items()) {
    if (is_one_of(key, kPlainValues)) continue;
    const std::string below = place + "/" + key;
    if (value.is_array()) {
      for (size_t i = 0; i < value.size(); ++i) {
        RETURN_IF_ERROR(check(value[i], below + "/" + std::to_string(i), depth_left - 1));
      }
    } else if (is_one_of(key, kNamedSchemas) && value.is_object()) {
      for (const auto& [name, each] : value.items()) {
        RETURN_IF_ERROR(check(each, below + "/" + name, depth_left - 1));
      }
    } else {
      RETURN_IF_ERROR(check(value, below, depth_left - 1));
    }
  }
  return {};
}

Status check(const json& schema, const std::string& place, int depth_left) {
  if (!schema.is_object()) return {};
  if (depth_left <= 0) {
    return invalid_argument("The JSON schema is nested too deeply, at " + quote(place));
  }
  if (const auto part = ignored_part(schema)) {
    return Error{ErrorCode::kUnsupported,
                 "The provided JSON schema contains features not supported by xgrammar: " + *part +
                     " at " + quote(place),
                 {}};
  }
  return check_children(schema, place, depth_left);
}

}  // namespace

Status check_schema(std::string_view schema, int depth_max) {
  const json tree = json::parse(schema, nullptr, false);
  if (!tree.is_object() && !tree.is_boolean()) {
    return malformed("Invalid JSON grammar specification: expected a JSON schema");
  }
  return check(tree, "#", depth_max);
}

}  // namespace touchstone::grammar
