// Relations between the numbers of one span.
#include "base/text.h"
#include "conformance/checks/check.h"
#include "conformance/profile/relation.h"

namespace touchstone::conformance {

void check_relations(const CheckInput& input, Recorder& recorder) {
  recorder.not_applicable("no span with all the numbers of a relation");
  for (const SpanView& view : input.index.spans) {
    if (view.type == nullptr) continue;
    for (const Relation& relation : view.type->relations) {
      const auto values = evaluate(relation, [&](const std::string& word) {
        return SpanIndex::number(view, input.profile, word);
      });
      if (!values) continue;
      recorder.examined();
      if (values->holds) continue;
      recorder.violation(
          view,
          {.level = relation.level,
           .fold = view.type->type + " " + relation.text,
           .subject = relation.text + " of " + view.type->type,
           .message = relation.text + " does not hold: left is " + format_double(values->left) +
                      ", right is " + format_double(values->right) +
                      (relation.reason.empty() ? "" : " (" + relation.reason + ")"),
           .expected = relation.text + " within " + format_double(relation.tolerance),
           .actual = format_double(values->left) + " and " + format_double(values->right),
           .context = {{"relation", relation.text}, {"rule", relation.where}}});
    }
  }
}

}  // namespace touchstone::conformance
