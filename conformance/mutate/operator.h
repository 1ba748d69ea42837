// A mutation operator: one way in which telemetry can be wrong, at every place where it fits. One
// row each; rows of one family stand in one file. With each row stands, before anything is tried,
// from which evidence the defect can be decided: there a check must find it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "conformance/mutate/good.h"
#include "result/result_model.h"

namespace touchstone::conformance::mutate {

/// One damage at one place.
struct Mutant {
  std::string place;                           ///< "gen_ai.latency.e2e of llm_request"
  std::function<void(Evidence&)> damage;       ///< of a copy of the good evidence
  result::Level level = result::Level::kMust;  ///< of the rule that it breaks
};

struct OperatorRow {
  const char* id;     ///< "attribute.drop"
  const char* title;  ///< what is wrong: "a required attribute is missing"
  Modes decided;      ///< by which evidence it can be decided
  std::vector<Mutant> (*mutants)(const Good&);
  Modes seen = kAlways;  ///< by which evidence there is any difference to see
};

/// Every operator, by family.
std::span<const OperatorRow> all_operators();

// The table of each file.
using OperatorTable = std::span<const OperatorRow>;
OperatorTable attribute_operators();
OperatorTable number_operators();
OperatorTable shape_operators();
OperatorTable leak_operators();
OperatorTable resource_operators();
OperatorTable identity_operators();
OperatorTable family_operators();
OperatorTable time_operators();
OperatorTable latency_operators();
OperatorTable request_operators();
OperatorTable accounting_operators();
OperatorTable metric_operators();
OperatorTable reconciled_operators();
OperatorTable collector_operators();
OperatorTable input_operators();

/// "llm_request", with the span's id when there are several places.
std::string place_text(const GoodSpan& span);

/// A mutant of each span, made by `damage(span)`.
template <typename Spans, typename Damage>
std::vector<Mutant> on_spans(const Spans& spans, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& span : spans) {
    mutants.push_back({place_text(span), [at = span.at, damage](Evidence& evidence) {
                         damage(span_at(evidence, at));
                       }});
  }
  return mutants;
}

/// A mutant of each attribute of `places` with a rule for which `fits(rule, value)` holds.
template <typename Fits, typename Damage>
std::vector<Mutant> on_ruled_attributes(const Good& good, const Fits& fits, const Damage& damage) {
  std::vector<Mutant> mutants;
  for (const GoodSpan& place : good.places()) {
    for (const telemetry::KeyValue& attribute : place.span->attributes) {
      const AttributeRule* rule = place.rule(attribute.key);
      if (rule == nullptr || !fits(*rule, place)) continue;
      mutants.push_back({attribute.key + " of " + place_text(place),
                         [at = place.at, key = attribute.key, rule, damage](Evidence& evidence) {
                           damage(span_at(evidence, at), key, *rule);
                         },
                         rule->level});
    }
  }
  return mutants;
}

}  // namespace touchstone::conformance::mutate
