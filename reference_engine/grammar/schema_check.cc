#include "reference_engine/grammar/schema_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/text.h"
#include "reference_engine/grammar/disjoint.h"
#include "reference_engine/grammar/repetition_check.h"

namespace touchstone::grammar {
namespace {

using nlohmann::json;
using Words = std::span<const char* const>;

constexpr const char* kFormats[] = {"email",         "date",
                                    "time",          "date-time",
                                    "duration",      "ipv4",
                                    "ipv6",          "hostname",
                                    "uuid",          "uri",
                                    "uri-reference", "uri-template",
                                    "json-pointer",  "relative-json-pointer"};

// Left out wherever they stand.
constexpr const char* kIgnored[] = {"not",
                                    "if",
                                    "then",
                                    "else",
                                    "dependencies",
                                    "dependentRequired",
                                    "dependentSchemas",
                                    "uniqueItems",
                                    "contains",
                                    "minContains",
                                    "maxContains",
                                    "multipleOf",
                                    "$dynamicRef",
                                    "$recursiveRef"};

// The first of these that is there is looked at, and none of the others.
constexpr const char* kDeciding[] = {"$ref", "const", "enum", "anyOf", "oneOf", "allOf"};

constexpr const char* kOfNumbers[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
constexpr const char* kOfStrings[] = {"minLength", "maxLength", "pattern", "format"};
constexpr const char* kOfArrays[] = {"items", "prefixItems", "unevaluatedItems", "minItems",
                                     "maxItems"};
constexpr const char* kOfObjects[] = {
    "properties",    "patternProperties", "additionalProperties", "unevaluatedProperties",
    "propertyNames", "required",          "minProperties",        "maxProperties"};
constexpr Words kFamilies[] = {kOfNumbers, kOfStrings, kOfArrays, kOfObjects};

// Without a type these say that there is an object, or else an array, and nothing else is taken.
constexpr const char* kImplyObject[] = {"properties", "additionalProperties",
                                        "unevaluatedProperties"};
constexpr const char* kImplyArray[] = {"items", "prefixItems", "unevaluatedItems"};

constexpr const char* kCounts[] = {"minLength", "maxLength",     "minItems",
                                   "maxItems",  "minProperties", "maxProperties"};

// Their values are schemas by name, or no schemas at all: keys in them are no keywords.
constexpr const char* kNamedSchemas[] = {"properties", "patternProperties", "$defs", "definitions"};
constexpr const char* kPlainValues[] = {"enum", "const", "default", "examples", "required"};

bool is_one_of(const std::string& word, Words words) {
  return std::ranges::any_of(words, [&](const char* each) { return word == each; });
}

const char* first_of(const json& schema, Words keys) {
  for (const char* key : keys) {
    if (schema.contains(key)) return key;
  }
  return nullptr;
}

bool has_type(const json& schema, std::string_view type) {
  const auto found = schema.find("type");
  if (found == schema.end()) return false;
  if (found->is_string()) return *found == type;
  return found->is_array() && std::ranges::any_of(*found, [&](const json& t) { return t == type; });
}

bool is_of_type(const json& value, const json& types) {
  const auto is = [&](const json& type) {
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    return value.type_name() == type;
  };
  return types.is_array() ? std::ranges::any_of(types, is) : is(types);
}

/// The type of a schema that names none; empty: any.
std::string implied_type(const json& schema) {
  if (first_of(schema, kImplyObject) != nullptr) return "object";
  return first_of(schema, kImplyArray) != nullptr ? "array" : "";
}

/// `type` beside a keyword that decides in its place changes nothing.
bool is_implied(const json& schema, const std::string& deciding) {
  const json& types = schema["type"];
  if (deciding == "const") return is_of_type(schema["const"], types);
  const json& parts = schema[deciding];
  if (!parts.is_array()) return false;
  return std::ranges::all_of(parts, [&](const json& part) {
    if (deciding == "enum") return is_of_type(part, types);
    if (!part.is_object()) return false;
    if (part.contains("const")) return is_of_type(part["const"], types);
    if (!part.contains("type")) return has_type(schema, implied_type(part));
    if (part["type"] == types) return true;
    return part["type"].is_string() && has_type(schema, part["type"].get<std::string>());
  });
}

/// A keyword that another one keeps from being looked at.
std::optional<std::string> hidden_part(const json& schema) {
  const char* const deciding = first_of(schema, kDeciding);
  if (deciding != nullptr) {
    for (const char* key : kDeciding) {
      if (schema.contains(key) && std::string_view(key) != deciding) {
        return std::string(key) + " beside " + deciding;
      }
    }
    for (const Words family : kFamilies) {
      if (const char* key = first_of(schema, family))
        return std::string(key) + " beside " + deciding;
    }
    if (schema.contains("type") && !is_implied(schema, deciding)) {
      return std::string("type beside ") + deciding;
    }
    return std::nullopt;
  }
  if (schema.contains("type")) return std::nullopt;
  if (!implied_type(schema).empty()) return std::nullopt;
  for (const Words family : kFamilies) {
    if (const char* key = first_of(schema, family)) return std::string(key) + " without type";
  }
  return std::nullopt;
}

/// Combinations within strings and objects.
std::optional<std::string> combined_part(const json& schema) {
  const auto format = schema.find("format");
  if (format != schema.end() && has_type(schema, "string")) {
    if (!format->is_string() || !is_one_of(format->get<std::string>(), kFormats)) {
      return "format " + format->dump();
    }
    if (schema.contains("pattern")) return "pattern together with format";
  }
  const bool lengths = schema.contains("minLength") || schema.contains("maxLength");
  if (lengths && (schema.contains("pattern") || format != schema.end())) {
    return "minLength or maxLength together with pattern or format";
  }
  constexpr const char* kBesideNames[] = {"properties", "patternProperties",
                                          "unevaluatedProperties", "additionalProperties"};
  if (schema.contains("propertyNames") && first_of(schema, kBesideNames) != nullptr) {
    return "propertyNames together with properties";
  }
  const auto patterns = schema.find("patternProperties");
  constexpr const char* kBesidePatterns[] = {"properties", "additionalProperties",
                                             "unevaluatedProperties"};
  if (patterns != schema.end() &&
      (first_of(schema, kBesidePatterns) != nullptr || patterns->size() > 1)) {
    return "patternProperties together with properties, or more than one of them";
  }
  const auto required = schema.find("required");
  if (required != schema.end() && required->is_array()) {
    const json none = json::object();
    const json& known = schema.contains("properties") ? schema["properties"] : none;
    for (const json& name : *required) {
      if (name.is_string() && !known.contains(name.get<std::string>())) {
        return "required " + name.dump() + ", which is not among properties";
      }
    }
  }
  return std::nullopt;
}

/// What would be left out, if there is such a thing.
std::optional<std::string> ignored_part(const json& schema) {
  for (const char* key : kIgnored) {
    if (schema.contains(key) && schema[key] != json(false)) return key;
  }
  if (auto hidden = hidden_part(schema)) return hidden;
  if (auto combined = combined_part(schema)) return combined;
  const auto all = schema.find("allOf");
  if (all != schema.end() && all->is_array() && all->size() > 1) return "allOf of more than one";
  const auto one = schema.find("oneOf");
  if (one != schema.end() && !are_disjoint(*one)) {
    return "oneOf whose parts are not told apart by their type, a value or a required property";
  }
  return std::nullopt;
}

Status check_cost(const json& schema, const std::string& place, const GrammarLimits& limits) {
  for (const char* key : kCounts) {
    const auto found = schema.find(key);
    if (found != schema.end() && found->is_number() && *found > limits.repetition_max) {
      return invalid_argument(std::string(key) + " at " + quote(place) + ": got " + found->dump() +
                              ", expected at most " + std::to_string(limits.repetition_max));
    }
  }
  for (const char* key : {"enum", "anyOf", "oneOf"}) {
    const auto found = schema.find(key);
    if (found != schema.end() && found->size() > limits.alternatives_max) {
      return invalid_argument(std::string(key) + " at " + quote(place) + ": got " +
                              std::to_string(found->size()) + " of them, expected at most " +
                              std::to_string(limits.alternatives_max));
    }
  }
  if (schema.contains("pattern") && schema["pattern"].is_string()) {
    RETURN_IF_ERROR(check_regex_cost(schema["pattern"].get<std::string>(), limits));
  }
  if (schema.contains("patternProperties") && schema["patternProperties"].is_object()) {
    for (const auto& [pattern, value] : schema["patternProperties"].items()) {
      RETURN_IF_ERROR(check_regex_cost(pattern, limits));
    }
  }
  return {};
}

Status check(const json& schema, const std::string& place, int depth_left,
             const GrammarLimits& limits);

Status check_children(const json& schema, const std::string& place, int depth_left,
                      const GrammarLimits& limits) {
  for (const auto& [key, value] : schema.items()) {
    if (is_one_of(key, kPlainValues)) continue;
    const std::string below = place + "/" + key;
    if (value.is_array()) {
      for (size_t i = 0; i < value.size(); ++i) {
        RETURN_IF_ERROR(check(value[i], below + "/" + std::to_string(i), depth_left - 1, limits));
      }
    } else if (is_one_of(key, kNamedSchemas) && value.is_object()) {
      for (const auto& [name, each] : value.items()) {
        RETURN_IF_ERROR(check(each, below + "/" + name, depth_left - 1, limits));
      }
    } else if (key == "propertyNames" && value.is_object()) {
      json names = value;  // names are strings, whether it is said or not
      if (first_of(names, kDeciding) == nullptr) names["type"] = "string";
      RETURN_IF_ERROR(check(names, below, depth_left - 1, limits));
    } else {
      RETURN_IF_ERROR(check(value, below, depth_left - 1, limits));
    }
  }
  return {};
}

Status check(const json& schema, const std::string& place, int depth_left,
             const GrammarLimits& limits) {
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
  RETURN_IF_ERROR(check_cost(schema, place, limits));
  return check_children(schema, place, depth_left, limits);
}

/// Looks for schemas and regular expressions at any depth.
Status check_tag(const json& tag, int depth_left, const GrammarLimits& limits) {
  if (depth_left <= 0) return invalid_argument("The structural tag is nested too deeply");
  if (!tag.is_structured()) return {};
  for (const auto& [key, value] : tag.items()) {
    if (tag.is_object() && (key == "schema" || key == "json_schema") && value.is_object()) {
      RETURN_IF_ERROR(check(value, "#", limits.depth_max, limits));
    } else if (tag.is_object() && key == "pattern" && value.is_string()) {
      RETURN_IF_ERROR(check_regex_cost(value.get<std::string>(), limits));
    } else if (tag.is_object() && key == "grammar" && value.is_string()) {
      RETURN_IF_ERROR(check_ebnf_cost(value.get<std::string>(), limits));
    } else {
      RETURN_IF_ERROR(check_tag(value, depth_left - 1, limits));
    }
  }
  return {};
}

}  // namespace

Status check_schema(std::string_view schema, const GrammarLimits& limits) {
  const json tree = json::parse(schema, nullptr, false);
  if (!tree.is_object() && !tree.is_boolean()) {
    return malformed("Invalid JSON grammar specification: expected a JSON schema");
  }
  return check(tree, "#", limits.depth_max, limits);
}

Status check_structural_tag(std::string_view text, const GrammarLimits& limits) {
  const json tree = json::parse(text, nullptr, false);
  if (!tree.is_object()) return malformed("Invalid structural tag: expected a JSON object");
  return check_tag(tree, 2 * limits.depth_max, limits);
}

}  // namespace touchstone::grammar
