#include "base/clock.h"

#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// Times are shifted on the way, since no subject lets its clock be set.
FaultKind clock_fault() {
  return {.word = "clock",
          .summary = "every time in every span is shifted, to the end of the run",
          .proves = "the offset of a clock is found and accuses nobody; durations hold",
          .target = FaultKind::Target::kOtlp,
          .apply =
              [](Part& part, const Fault& fault) {
                return part.set_answers({.retry_after_ns = {}, .shift_ns = fault.value("by")});
              },
          .undo = nullptr,  // a clock that is put right in the middle would be another fault
          .options = {{"by", FaultOption::Unit::kDuration, 2 * kNsPerSecond, "ahead"}}};
}

}  // namespace touchstone::harness
