#include "conformance/profile/relation.h"

#include <cmath>
#include <utility>

#include "base/text.h"

namespace touchstone::conformance {
namespace {

bool is_name(std::string_view word) {
  for (const char c : word) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '.' || c == ':';
    if (!good) return false;
  }
  return !word.empty() && !(word[0] >= '0' && word[0] <= '9');
}

Result<Relation::Term> parse_term(std::string_view text, double sign) {
  const std::vector<std::string> factors = split(text, '*');
  Relation::Term term{.factor = sign, .name = {}};
  if (factors.size() > 2) {
    return invalid_argument("got " + quote(text) + ", expected at most one `*` in a term");
  }
  for (const std::string& factor : factors) {
    const std::string_view word = trim(factor);
    if (const auto number = parse_double(word)) {
      term.factor *= *number;
    } else if (is_name(word) && term.name.empty()) {
      term.name = word;
    } else {
      return invalid_argument("got " + quote(word) + ", expected a name or a number");
    }
  }
  return term;
}

Result<std::vector<Relation::Term>> parse_side(std::string_view text) {
  std::vector<Relation::Term> terms;
  double sign = 1;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    // Signs stand between spaces, so that 1e-3 stays one number.
    const bool sign_here =
        i < text.size() && (text[i] == '+' || text[i] == '-') && i > 0 && text[i - 1] == ' ';
    if (i < text.size() && !sign_here) continue;
    Result<Relation::Term> term = parse_term(text.substr(start, i - start), sign);
    if (!term) return std::move(term).error();
    terms.push_back(*std::move(term));
    if (i < text.size()) sign = text[i] == '-' ? -1 : 1;
    start = i + 1;
  }
  return terms;
}

std::optional<double> value_of(const std::vector<Relation::Term>& side, const Lookup& lookup) {
  double sum = 0;
  for (const Relation::Term& term : side) {
    if (term.name.empty()) {
      sum += term.factor;
      continue;
    }
    const std::optional<double> value = lookup(term.name);
    if (!value) return std::nullopt;
    sum += term.factor * *value;
  }
  return sum;
}

}  // namespace

Result<Relation> parse_relation(std::string_view text) {
  static constexpr std::pair<std::string_view, Relation::Operator> kOperators[] = {
      {"==", Relation::Operator::kEqual},
      {">=", Relation::Operator::kAtLeast},
      {"<=", Relation::Operator::kAtMost}};
  for (const auto& [symbol, op] : kOperators) {
    const size_t at = text.find(symbol);
    if (at == std::string_view::npos) continue;
    Relation relation;
    relation.text = text;
    relation.op = op;
    auto left = parse_side(text.substr(0, at));
    if (!left) return std::move(left).error();
    auto right = parse_side(text.substr(at + 2));
    if (!right) return std::move(right).error();
    relation.left = *std::move(left);
    relation.right = *std::move(right);
    return relation;
  }
  return invalid_argument("got " + quote(text) + ", expected two sums joined by ==, >= or <=");
}

std::optional<RelationValues> evaluate(const Relation& relation, const Lookup& lookup) {
  const std::optional<double> left = value_of(relation.left, lookup);
  const std::optional<double> right = value_of(relation.right, lookup);
  if (!left || !right) return std::nullopt;
  RelationValues values{*left, *right, false};
  switch (relation.op) {
    case Relation::Operator::kEqual:
      values.holds = std::fabs(*left - *right) <= relation.tolerance;
      break;
    case Relation::Operator::kAtLeast:
      values.holds = *left >= *right - relation.tolerance;
      break;
    case Relation::Operator::kAtMost:
      values.holds = *left <= *right + relation.tolerance;
      break;
  }
  return values;
}

}  // namespace touchstone::conformance
