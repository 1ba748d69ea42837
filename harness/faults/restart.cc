#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// As a supervisor does it after a crash: SIGKILL, and at once the same command on the same ports.
FaultKind restart_fault() {
  return {.word = "restart",
          .summary = "SIGKILL, then the same command again",
          .apply = [](Part& part) { return part.restart(); },
          .undo = nullptr};
}

}  // namespace touchstone::harness
