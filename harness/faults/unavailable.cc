#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// A receiver that has a bad time.
FaultKind unavailable_fault() {
  return {.word = "unavailable",
          .summary = "everything is answered with 503, or UNAVAILABLE",
          .proves = "senders back off by themselves, and lose nothing",
          .target = FaultKind::Target::kAnswers,
          .apply =
              [](Part& part, const Fault&) {
                return part.set_answers({.http_status = 503, .retry_after_ns = {}});
              },
          .undo = [](Part& part) { return part.set_answers({}); }};
}

}  // namespace touchstone::harness
