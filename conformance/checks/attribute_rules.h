// Rules about one attribute's value, shared by the checks of spans and of resources. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/profile/compiled.h"
#include "conformance/profile/profile.h"

namespace touchstone::conformance {

/// True when the value has the rule's type.
bool has_type(const telemetry::Value& value, ValueType type);
/// What is wrong with the number, as "expected": nullopt when it is in range or no number.
std::optional<std::string> out_of_range(const telemetry::Value& value, const AttributeRule& rule);
/// "one of: a, b" when the value, or an element of the array that it is, is not among the rule's.
std::optional<std::string> not_listed(const telemetry::Value& value, const AttributeRule& rule);
/// "a match of /…/" when the value, or an element of the array that it is, has not the rule's form.
std::optional<std::string> not_of_form(const telemetry::Value& value, const CompiledRule& rule);
/// True when the rule demands the key on a span or resource with these attributes.
bool is_due(const AttributeRule& rule, const telemetry::Attributes& attributes);
/// The keys that stand more than once, each as often as it stands too much.
std::vector<std::string_view> repeated_keys(const telemetry::Attributes& attributes);
/// " (present as X, its name in Y)" when a sibling of a missing key is there, else empty.
std::string renamed_as(const std::string& key, const telemetry::Attributes& attributes,
                       const Profile& profile);

}  // namespace touchstone::conformance
