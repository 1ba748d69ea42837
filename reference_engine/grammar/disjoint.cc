#include "reference_engine/grammar/disjoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

namespace touchstone::grammar {
namespace {

using nlohmann::json;

/// The only values that a schema has; nullopt: they are not listed.
std::optional<std::set<json>> values_of(const json& schema) {
  if (schema.contains("const")) return std::set<json>{schema["const"]};
  if (!schema.contains("enum") || !schema["enum"].is_array()) return std::nullopt;
  return std::set<json>(schema["enum"].begin(), schema["enum"].end());
}

/// Names of the types that its values may have; nullopt: it does not say. An integer is a number.
std::optional<std::set<std::string>> types_of(const json& schema) {
  std::set<std::string> types;
  if (const auto values = values_of(schema)) {
    for (const json& value : *values) types.insert(value.type_name());
    return types;
  }
  if (!schema.contains("type")) return std::nullopt;
  const json& said = schema["type"];
  for (const json& each : said.is_array() ? said : json::array({said})) {
    if (!each.is_string()) return std::nullopt;
    types.insert(each == "integer" ? "number" : each.get<std::string>());
  }
  return types;
}

template <typename Set>
bool have_none_in_common(const Set& a, const Set& b) {
  return std::ranges::none_of(a, [&](const auto& each) { return b.contains(each); });
}

bool requires_property(const json& schema, const std::string& name) {
  const auto required = schema.find("required");
  return required != schema.end() && required->is_array() &&
         std::ranges::find(*required, json(name)) != required->end();
}

/// Both demand a property that has no value in common.
bool are_told_apart_by_a_property(const json& a, const json& b) {
  const auto properties = a.find("properties");
  if (properties == a.end() || !properties->is_object() || !b.contains("properties")) return false;
  for (const auto& [name, mine] : properties->items()) {
    if (!b["properties"].contains(name)) continue;
    if (!requires_property(a, name) || !requires_property(b, name)) continue;
    const json& theirs = b["properties"][name];
    if (!mine.is_object() || !theirs.is_object()) continue;
    const auto ours = values_of(mine);
    const auto others = values_of(theirs);
    if (ours && others && have_none_in_common(*ours, *others)) return true;
  }
  return false;
}

bool are_two_disjoint(const json& a, const json& b) {
  if (!a.is_object() || !b.is_object()) return false;
  const auto values_a = values_of(a);
  const auto values_b = values_of(b);
  if (values_a && values_b) return have_none_in_common(*values_a, *values_b);
  const auto types_a = types_of(a);
  const auto types_b = types_of(b);
  if (types_a && types_b && have_none_in_common(*types_a, *types_b)) return true;
  return are_told_apart_by_a_property(a, b);
}

}  // namespace

bool are_disjoint(const json& schemas) {
  if (!schemas.is_array()) return false;
  for (size_t i = 0; i < schemas.size(); ++i) {
    for (size_t j = i + 1; j < schemas.size(); ++j) {
      if (!are_two_disjoint(schemas[i], schemas[j])) return false;
    }
  }
  return true;
}

}  // namespace touchstone::grammar
