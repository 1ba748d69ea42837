#include "conformance/checks/attribute_rules.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace touchstone::conformance {
namespace {

using telemetry::Value;

bool is_string_array(const Value& value) {
  const auto* items = std::get_if<Value::Array>(&value.data);
  if (items == nullptr) return false;
  for (const Value& item : *items) {
    if (item.string() == nullptr) return false;
  }
  return true;
}

/// True when `holds` is, for the value's text; of an array, for each element's.
template <typename Holds>
bool each_text(const Value& value, const Holds& holds) {
  if (const std::string* text = value.string()) return holds(*text);
  const auto* items = std::get_if<Value::Array>(&value.data);
  if (items == nullptr) return holds(value.text());
  return std::all_of(items->begin(), items->end(),
                     [&](const Value& item) { return holds(item.text()); });
}

}  // namespace

bool has_type(const Value& value, ValueType type) {
  switch (type) {
    case ValueType::kAny:
      return true;
    case ValueType::kString:
      return value.string() != nullptr;
    case ValueType::kBool:
      return std::holds_alternative<bool>(value.data);
    case ValueType::kInt:
      return value.integer() != nullptr;
    case ValueType::kDouble:
      return value.number() != nullptr;
    case ValueType::kStringArray:
      return is_string_array(value);
    case ValueType::kArray:
      return std::holds_alternative<Value::Array>(value.data);
  }
  return false;
}

std::optional<std::string> out_of_range(const Value& value, const AttributeRule& rule) {
  double number = 0;
  if (const int64_t* integer = value.integer()) {
    number = static_cast<double>(*integer);
  } else if (const double* floating = value.number()) {
    number = *floating;
  } else {
    return std::nullopt;
  }
  const auto with_unit = [&](const char* words, double bound) {
    return words + format_double(bound) + (rule.unit.empty() ? "" : " " + rule.unit);
  };
  if (std::isnan(number)) return "a number";
  if (rule.min && number < *rule.min) return with_unit("at least ", *rule.min);
  if (rule.max && number > *rule.max) return with_unit("at most ", *rule.max);
  if (std::isinf(number)) return "a finite number";
  return std::nullopt;
}

std::optional<std::string> not_listed(const Value& value, const AttributeRule& rule) {
  if (rule.one_of.empty()) return std::nullopt;
  const bool listed = each_text(value, [&](const std::string& text) {
    return std::find(rule.one_of.begin(), rule.one_of.end(), text) != rule.one_of.end();
  });
  if (listed) return std::nullopt;
  return "one of: " + join(rule.one_of, ", ");
}

std::optional<std::string> not_of_form(const Value& value, const CompiledRule& rule) {
  if (!rule.pattern) return std::nullopt;
  if (each_text(value, [&](const std::string& text) { return rule.pattern->matches(text); })) {
    return std::nullopt;
  }
  return "a match of /" + rule.rule->pattern + "/";
}

bool is_due(const AttributeRule& rule, const telemetry::Attributes& attributes) {
  switch (rule.presence) {
    case Presence::kAlways:
      return true;
    case Presence::kSometimes:
      return false;
    case Presence::kWhen:
      return holds(*rule.when, telemetry::find(attributes, rule.when->key));
  }
  return false;
}

std::vector<std::string_view> repeated_keys(const telemetry::Attributes& attributes) {
  std::vector<std::string_view> repeated;
  constexpr size_t kFew = 32;  // comparing each with each is fastest
  if (attributes.size() <= kFew) {
    for (size_t i = 1; i < attributes.size(); ++i) {
      for (size_t before = 0; before < i; ++before) {
        if (attributes[before].key != attributes[i].key) continue;
        repeated.emplace_back(attributes[i].key);
        break;
      }
    }
    return repeated;
  }
  std::vector<std::string_view> keys;
  for (const telemetry::KeyValue& attribute : attributes) keys.emplace_back(attribute.key);
  std::sort(keys.begin(), keys.end());
  for (size_t i = 1; i < keys.size(); ++i) {
    if (keys[i] == keys[i - 1]) repeated.push_back(keys[i]);
  }
  return repeated;
}

std::string renamed_as(const std::string& key, const telemetry::Attributes& attributes,
                       const Profile& profile) {
  for (const Rename& rename : profile.renames) {
    if (rename.key == key && telemetry::find(attributes, rename.other) != nullptr) {
      return " (present as " + rename.other + ", its name in " + rename.since + ")";
    }
    if (rename.other == key && telemetry::find(attributes, rename.key) != nullptr) {
      return " (present as " + rename.key + ", renamed in " + rename.since + ")";
    }
  }
  return "";
}

}  // namespace touchstone::conformance
