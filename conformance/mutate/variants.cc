// The tables of all files, one after the other.
#include "conformance/mutate/variant.h"

namespace touchstone::conformance::mutate {

std::span<const VariantRow> all_variants() {
  static const std::vector<VariantRow> kRows = [] {
    std::vector<VariantRow> rows;
    for (const VariantTable table :
         {order_variants(), encoding_variants(), neighbour_variants(), sender_variants(),
          clock_variants(), client_variants(), page_variants()}) {
      rows.insert(rows.end(), table.begin(), table.end());
    }
    return rows;
  }();
  return kRows;
}

}  // namespace touchstone::conformance::mutate
