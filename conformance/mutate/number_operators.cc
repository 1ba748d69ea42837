// Numbers out of range, and numbers that contradict each other.
#include <cmath>
#include <limits>

#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {
namespace {

using telemetry::Span;
using telemetry::Value;

bool has_min(const AttributeRule& rule, const GoodSpan&) { return rule.min.has_value(); }
bool has_max(const AttributeRule& rule, const GoodSpan&) { return rule.max.has_value(); }

bool is_double(const AttributeRule& rule, const GoodSpan& place) {
  const Value* value = telemetry::find(place.span->attributes, rule.key);
  return value->number() != nullptr && (rule.min || rule.max);
}

void set(Span& span, const std::string& key, double number) {
  Value& value = *value_of(span, key);
  value = value.integer() != nullptr ? Value(static_cast<int64_t>(number)) : Value(number);
}

std::vector<Mutant> below(const Good& good) {
  return on_ruled_attributes(good, has_min,
                             [](Span& span, const std::string& key, const AttributeRule& rule) {
                               set(span, key, *rule.min - 1);
                             });
}

std::vector<Mutant> above(const Good& good) {
  return on_ruled_attributes(good, has_max,
                             [](Span& span, const std::string& key, const AttributeRule& rule) {
                               set(span, key, *rule.max + 1);
                             });
}

std::vector<Mutant> not_a_number(const Good& good) {
  return on_ruled_attributes(good, is_double,
                             [](Span& span, const std::string& key, const AttributeRule&) {
                               *value_of(span, key) = std::nan("");
                             });
}

std::vector<Mutant> infinite(const Good& good) {
  return on_ruled_attributes(good, is_double,
                             [](Span& span, const std::string& key, const AttributeRule&) {
                               *value_of(span, key) = std::numeric_limits<double>::infinity();
                             });
}

/// The number of one side; nullopt when the span lacks a name of it.
std::optional<double> sum_of(const GoodSpan& place, const std::vector<Relation::Term>& side) {
  double sum = 0;
  for (const Relation::Term& term : side) {
    const auto number = term.name.empty() ? std::optional<double>(1) : place.number(term.name);
    if (!number || term.owner != Relation::Owner::kSelf) return std::nullopt;
    sum += term.factor * *number;
  }
  return sum;
}

/// What the first attribute of the left side must be for the relation not to hold.
std::optional<double> breaking(const GoodSpan& place, const Relation& relation) {
  constexpr double kBeyond = 1e-4;
  const auto left = sum_of(place, relation.left);
  const auto right = sum_of(place, relation.right);
  const auto first = place.number(relation.left[0].name);
  if (!left || !right || !first) return std::nullopt;
  const double rest = *left - *first;
  if (relation.op == Relation::Operator::kAtLeast) {
    return *right - rest - relation.tolerance - kBeyond;
  }
  return *right - rest + relation.tolerance + kBeyond;
}

bool is_asked(const Relation& relation, const GoodSpan& place) {
  return !relation.when ||
         holds(*relation.when, telemetry::find(place.span->attributes, relation.when->key));
}

/// Within one span, between numbers.
std::vector<Mutant> relation_broken(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const Relation& relation : place.type->relations) {
      if (!is_asked(relation, place)) continue;
      const std::string& word = relation.left[0].name;
      const auto wrong = breaking(place, relation);
      if (!wrong || relation.left[0].factor != 1) continue;
      mutants.push_back(
          {relation.text + " of " + place_text(place),
           [at = place.at, key = place.profile->key_of(word), wrong = *wrong](Evidence& evidence) {
             Span& span = span_at(evidence, at);
             if (key == "duration") {
               span.end_unix_ns = span.start_unix_ns + static_cast<int64_t>(wrong * 1e9);
               return;
             }
             const bool is_integer = value_of(span, key)->integer() != nullptr;
             set(span, key, is_integer ? std::floor(wrong) + (wrong > 0 ? 1 : 0) : wrong);
           },
           relation.level});
    }
  }
  return mutants;
}

/// Two texts of one span that must be equal.
std::vector<Mutant> texts_differ(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const Relation& relation : place.type->relations) {
      const std::string& key = place.profile->key_of(relation.left[0].name);
      const Value* value = telemetry::find(place.span->attributes, key);
      if (relation.crosses_spans() || value == nullptr || value->string() == nullptr) continue;
      mutants.push_back({relation.text + " of " + place_text(place),
                         [at = place.at, key](Evidence& evidence) {
                           Value& text = *value_of(span_at(evidence, at), key);
                           text = *text.string() + "x";
                         },
                         relation.level});
    }
  }
  return mutants;
}

/// Between a span and its parent or children: the span's own number is another.
std::vector<Mutant> across_broken(const Good& good) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const Relation& relation : place.type->relations) {
      if (!relation.crosses_spans() || relation.left[0].name == "duration") continue;
      if (!is_asked(relation, place)) continue;
      const std::string& key = place.profile->key_of(relation.left[0].name);
      const auto number = place.number(relation.left[0].name);
      if (!number || *number <= 2 * relation.tolerance) continue;
      const bool equal = relation.op == Relation::Operator::kEqual;
      const Value* value = telemetry::find(place.span->attributes, key);
      const double least = value != nullptr && value->integer() != nullptr ? 1 : 0.001;
      const double wrong = equal ? *number + 2 * relation.tolerance + least : 0;
      mutants.push_back({relation.text + " of " + place_text(place),
                         [at = place.at, key, wrong](Evidence& evidence) {
                           set(span_at(evidence, at), key, wrong);
                         },
                         relation.level});
    }
  }
  return mutants;
}

constexpr OperatorRow kRows[] = {
    {"number.below", "a number below its least", kAlways, below},
    {"number.above", "a number above its most", kAlways, above},
    {"number.nan", "a number that is none", kAlways, not_a_number},
    {"number.infinite", "a number without end", kAlways, infinite},
    {"number.relation", "a number that contradicts the others of its span", kAlways,
     relation_broken},
    {"number.texts_differ", "two texts that must be equal differ", kAlways, texts_differ},
    {"number.across", "a number that contradicts the span's parent or children", kAlways,
     across_broken}};

}  // namespace

OperatorTable number_operators() { return kRows; }

}  // namespace touchstone::conformance::mutate
