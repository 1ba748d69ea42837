// The tables of all files, one after the other.
#include "conformance/mutate/operator.h"

namespace touchstone::conformance::mutate {

std::span<const OperatorRow> all_operators() {
  static const std::vector<OperatorRow> kRows = [] {
    std::vector<OperatorRow> rows;
    for (const OperatorTable table :
         {attribute_operators(), number_operators(), shape_operators(), leak_operators(),
          resource_operators(), identity_operators(), family_operators(), time_operators(),
          latency_operators(), request_operators(), accounting_operators(), metric_operators(),
          reconciled_operators(), collector_operators(), input_operators()}) {
      rows.insert(rows.end(), table.begin(), table.end());
    }
    return rows;
  }();
  return kRows;
}

std::string place_text(const GoodSpan& span) {
  return (span.type == nullptr ? span.span->name : span.type->type) + " " +
         span.span->span_id.hex();
}

}  // namespace touchstone::conformance::mutate
