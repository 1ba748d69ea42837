#include "conformance/checks/relation_violation.h"

#include "base/text.h"

namespace touchstone::conformance {

Violation relation_violation(const Relation& relation, const RelationValues& values,
                             const std::string& type) {
  return {.level = relation.level,
          .fold = type + " " + relation.text,
          .subject = relation.text + " of " + type,
          .message = relation.text + " does not hold: left is " + values.left + ", right is " +
                     values.right + (relation.reason.empty() ? "" : " (" + relation.reason + ")"),
          .expected = relation.text + " within " + format_double(relation.tolerance),
          .actual = values.left + " and " + values.right,
          .context = {{"relation", relation.text}},
          .rule = relation.where};
}

}  // namespace touchstone::conformance
