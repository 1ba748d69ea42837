// Relations between the numbers of spans: `e2e >= ttft`, `inference == prefill + decode`,
// `completion_tokens == inference.decode/completion_tokens`. Pure; thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "conformance/profile/profile.h"

namespace touchstone::conformance {

/// Fills text, left, op and right. Grammar: side op side; op one of `==`, `>=`, `<=`; a side is
/// terms joined by `+` or `-`; a term is a name, a number, or `number * name`; a name may begin
/// with `parent/` or the type of a child and `/`.
/// ERRORS: kInvalidArgument.
Result<Relation> parse_relation(std::string_view text);

/// A number in its base unit, or a text; monostate: the span has none.
using Operand = std::variant<std::monostate, double, std::string>;
/// The value behind a term's name, without its factor.
using Lookup = std::function<Operand(const Relation::Term&)>;

/// Between two sums, with the relation's tolerance. NaN never holds.
bool holds_between(const Relation& relation, double left, double right);

struct RelationValues {
  std::string left;  ///< for messages
  std::string right;
  bool holds = false;
};
/// nullopt when a name has no value, or a text where a number is needed. NaN never holds.
std::optional<RelationValues> evaluate(const Relation& relation, const Lookup& lookup);

}  // namespace touchstone::conformance
