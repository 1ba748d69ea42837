// The tables of all files, one after the other: what stands in them is what is checked.
#include "conformance/checks/check.h"

namespace touchstone::conformance {

std::span<const CheckRow> all_checks() {
  static const std::vector<CheckRow> kRows = [] {
    std::vector<CheckRow> rows;
    for (const CheckTable table :
         {input_checks(), answer_checks(), shape_checks(), attribute_checks(), dropped_checks(),
          relation_checks(), content_checks(), resource_checks(), identity_checks(),
          parameter_checks(), time_checks(), client_time_checks(), topology_checks(),
          family_checks(), completeness_checks(), collector_checks(), reconciliation_checks(),
          metric_checks()}) {
      rows.insert(rows.end(), table.begin(), table.end());
    }
    return rows;
  }();
  return kRows;
}

}  // namespace touchstone::conformance
