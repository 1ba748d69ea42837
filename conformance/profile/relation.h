// Relations between the numbers of one span: `e2e >= ttft`, `inference == prefill + decode`.
// Pure; thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conformance/profile/profile.h"

namespace touchstone::conformance {

/// Fills text, left, op and right. Grammar: side op side; op one of `==`, `>=`, `<=`; a side is
/// terms joined by `+` or `-`; a term is a name, a number, or `number * name`.
/// ERRORS: kInvalidArgument.
Result<Relation> parse_relation(std::string_view text);

/// The number behind a name; nullopt when the span has none.
using Lookup = std::function<std::optional<double>(const std::string&)>;

struct RelationValues {
  double left = 0;
  double right = 0;
  bool holds = false;
};
/// nullopt when a name has no value. NaN never holds.
std::optional<RelationValues> evaluate(const Relation& relation, const Lookup& lookup);

}  // namespace touchstone::conformance
