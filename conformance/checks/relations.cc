// Relations between the numbers, or texts, of one span. Those across spans: families.cc.
#include "conformance/checks/check.h"
#include "conformance/checks/relation_violation.h"

namespace touchstone::conformance {
namespace {

void relations(const CheckInput&, const SpanView& view, Recorder& recorder) {
  for (const Relation& relation : view.rules().relations) {
    if (relation.crosses_spans()) continue;
    if (relation.when && !holds(*relation.when, view.value(relation.when->key))) continue;
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
