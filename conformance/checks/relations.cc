// Relations between the numbers, or texts, of one span. Those across spans: families.cc.
#include "base/text.h"
#include "conformance/checks/check.h"
#include "conformance/profile/relation.h"

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
    recorder.violation(
        view,
        {.level = relation.level,
         .fold = view.type->name() + " " + relation.text,
         .subject = relation.text + " of " + view.type->name(),
         .message = relation.text + " does not hold: left is " + values->left + ", right is " +
                    values->right + (relation.reason.empty() ? "" : " (" + relation.reason + ")"),
         .expected = relation.text + " within " + format_double(relation.tolerance),
         .actual = values->left + " and " + values->right,
         .context = {{"relation", relation.text}},
         .rule = relation.where});
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
