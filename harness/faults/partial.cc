#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// A receiver that has no room for some spans, or does not like them.
FaultKind partial_fault() {
  return {.word = "partial",
          .summary = "a share of the spans is answered as rejected, and not passed on",
          .proves = "a partial success is counted by the sender and not sent again",
          .target = FaultKind::Target::kOtlp,
          .apply =
              [](Part& part, const Fault& fault) {
                return part.set_answers(
                    {.retry_after_ns = {}, .reject_per_cent = fault.value("share")});
              },
          .undo = [](Part& part) { return part.set_answers({}); },
          .options = {{"share", FaultOption::Unit::kPerCent, 50, "of a hundred spans"}}};
}

}  // namespace touchstone::harness
