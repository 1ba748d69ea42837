#include "base/clock.h"
#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// A receiver that takes no more for a while.
FaultKind throttle_fault() {
  return {.word = "throttle",
          .summary = "everything is answered with 429, or UNAVAILABLE, and Retry-After",
          .proves = "senders wait as long as they are asked to, and lose nothing",
          .target = FaultKind::Target::kAnswers,
          .apply =
              [](Part& part, const Fault& fault) {
                return part.set_answers(
                    {.http_status = 429, .retry_after_ns = fault.value("retry_after")});
              },
          .undo = [](Part& part) { return part.set_answers({}); },
          .options = {{"retry_after", FaultOption::Unit::kDuration, kNsPerSecond,
                       "what senders are told"}}};
}

}  // namespace touchstone::harness
