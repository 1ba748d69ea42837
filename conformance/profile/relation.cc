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

/// "NAME", "parent/NAME" or "TYPE/NAME"; false when it is none of them.
bool set_name(std::string_view word, Relation::Term& term) {
  const size_t slash = word.find('/');
  const std::string_view owner = word.substr(0, slash == std::string_view::npos ? 0 : slash);
  const std::string_view name = slash == std::string_view::npos ? word : word.substr(slash + 1);
  if (!is_name(name) || (slash != std::string_view::npos && !is_name(owner))) return false;
  term.name = name;
  if (owner.empty()) return true;
  term.owner = owner == "parent" ? Relation::Owner::kParent : Relation::Owner::kChildren;
  if (term.owner == Relation::Owner::kChildren) term.child_type = owner;
  return true;
}

Result<Relation::Term> parse_term(std::string_view text, double sign) {
  const std::vector<std::string> factors = split(text, '*');
  Relation::Term term;
  term.factor = sign;
  if (factors.size() > 2) {
    return invalid_argument("got " + quote(text) + ", expected at most one `*` in a term");
  }
  for (const std::string& factor : factors) {
    const std::string_view word = trim(factor);
    if (const auto number = parse_double(word)) {
      term.factor *= *number;
    } else if (term.name.empty() && set_name(word, term)) {
      continue;
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

/// The sum of a side; nullopt when a name has no number.
std::optional<double> sum_of(const std::vector<Relation::Term>& side, const Lookup& lookup) {
  double sum = 0;
  for (const Relation::Term& term : side) {
    if (term.name.empty()) {
      sum += term.factor;
      continue;
    }
    const Operand operand = lookup(term);
    const double* value = std::get_if<double>(&operand);
    if (value == nullptr) return std::nullopt;
    sum += term.factor * *value;
  }
  return sum;
}

bool is_single_name(const std::vector<Relation::Term>& side) {
  return side.size() == 1 && !side[0].name.empty() && side[0].factor == 1;
}

/// Both sides as texts; nullopt when one is none.
std::optional<RelationValues> evaluate_texts(const Relation& relation, const Lookup& lookup) {
  if (relation.op != Relation::Operator::kEqual) return std::nullopt;
  if (!is_single_name(relation.left) || !is_single_name(relation.right)) return std::nullopt;
  const Operand left = lookup(relation.left[0]);
  const std::string* left_text = std::get_if<std::string>(&left);
  if (left_text == nullptr) return std::nullopt;
  const Operand right = lookup(relation.right[0]);
  const std::string* right_text = std::get_if<std::string>(&right);
  if (right_text == nullptr) return std::nullopt;
  return RelationValues{quote(*left_text), quote(*right_text), *left_text == *right_text};
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

bool Relation::crosses_spans() const {
  for (const auto* side : {&left, &right}) {
    for (const Term& term : *side) {
      if (term.owner != Owner::kSelf) return true;
    }
  }
  return false;
}

bool holds_between(const Relation& relation, double left, double right) {
  switch (relation.op) {
    case Relation::Operator::kEqual:
      return std::fabs(left - right) <= relation.tolerance;
    case Relation::Operator::kAtLeast:
      return left >= right - relation.tolerance;
    case Relation::Operator::kAtMost:
      return left <= right + relation.tolerance;
  }
  return false;
}

std::optional<RelationValues> evaluate(const Relation& relation, const Lookup& lookup) {
  if (auto texts = evaluate_texts(relation, lookup)) return texts;
  const std::optional<double> left = sum_of(relation.left, lookup);
  const std::optional<double> right = left ? sum_of(relation.right, lookup) : std::nullopt;
  if (!left || !right) return std::nullopt;
  // Most relations hold: the text is made only where somebody reads it.
  if (holds_between(relation, *left, *right)) return RelationValues{"", "", true};
  return RelationValues{format_double(*left), format_double(*right), false};
}

}  // namespace touchstone::conformance
