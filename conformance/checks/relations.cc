// Relations between the numbers, or texts, of one span. Those across spans: families.cc.
#include "conformance/checks/check.h"
#include "conformance/checks/relation_violation.h"

namespace touchstone::conformance {
namespace {

std::optional<double> sum_of(const SpanView& view,
                             const std::vector<CompiledRelation::Term>& side) {
  double sum = 0;
  for (const CompiledRelation::Term& term : side) {
    const std::optional<double> number = term.number ? view.number(*term.number) : 1;
    if (!number) return std::nullopt;
    sum += term.factor * *number;
  }
  return sum;
}

/// False when it does not hold, or is none of numbers.
bool holds_of_numbers(const SpanView& view, const CompiledRelation& relation) {
  const std::optional<double> left = sum_of(view, relation.left);
  const std::optional<double> right = left ? sum_of(view, relation.right) : std::nullopt;
  return right && holds_between(*relation.relation, *left, *right);
}

void relations(const CheckInput&, const SpanView& view, Recorder& recorder) {
  for (const CompiledRelation& compiled : view.type->relations()) {
    const Relation& relation = *compiled.relation;
    if (relation.when && !holds(*relation.when, view.value(relation.when->key))) continue;
    if (holds_of_numbers(view, compiled)) {
      recorder.examined();
      continue;
    }
    const auto values =
        evaluate(relation, [&](const Relation::Term& term) { return view.operand(term.name); });
    if (!values) continue;
    recorder.examined();
    if (values->holds) continue;
    recorder.violation(view, relation_violation(relation, *values, view.type->name()));
  }
}

constexpr CheckRow kRows[] = {{.id = "span.relation",
                               .title = "Relations between the numbers of a span",
                               .group = "schema",
                               .demanded_by = CheckRow::Source::kTheProfile,
                               .source = "the profile's relations at its pinned version.",
                               .nothing = "no span with all the numbers of a relation",
                               .on_span = relations}};

}  // namespace

CheckTable relation_checks() { return kRows; }

}  // namespace touchstone::conformance
