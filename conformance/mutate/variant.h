// A legal variant: the same telemetry as another sender, Collector or server may honestly leave it.
// No check may find anything. One row each; rows of one kind stand in one file.
#pragma once

#include <span>

#include "conformance/mutate/good.h"
#include "result/result_model.h"

namespace touchstone::conformance::mutate {

struct VariantRow {
  const char* id;     ///< "order.shuffled"
  const char* title;  ///< "spans in any order"
  /// Dresses a copy of the good evidence; false: nothing in it can be dressed so.
  bool (*dress)(const Good&, Evidence&);
  Modes seen = kAlways;  ///< by which evidence there is any difference to see
  /// Findings weaker than this are no alarm: what is legal is not always what a profile would like.
  result::Level quiet = result::Level::kMay;
};

/// Every variant, by kind.
std::span<const VariantRow> all_variants();

// The table of each file.
using VariantTable = std::span<const VariantRow>;
VariantTable order_variants();
VariantTable encoding_variants();
VariantTable neighbour_variants();
VariantTable sender_variants();
VariantTable clock_variants();
VariantTable client_variants();
VariantTable page_variants();

}  // namespace touchstone::conformance::mutate
