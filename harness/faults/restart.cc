#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// As a supervisor does it after a crash: SIGKILL, and at once the same command on the same ports.
FaultKind restart_fault() {
  return {.word = "restart",
          .summary = "SIGKILL, then the same command again",
          .proves = "what is on disk survives a crash: a spool, a Collector's queue",
          .apply = [](Part& part, const Fault&) { return part.restart(); },
          .undo = nullptr};
}

}  // namespace touchstone::harness
