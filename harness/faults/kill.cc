#include <signal.h>

#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// As the kernel's memory killer does it: no last words, nothing flushed.
FaultKind kill_fault() {
  return {.word = "kill",
          .summary = "SIGKILL: it ends at once and stays away",
          .proves = "what is lost with a process is counted, and where",
          .apply = [](Part& part, const Fault&) { return part.send_signal(SIGKILL); },
          .undo = nullptr,
          .ends_target = true};
}

}  // namespace touchstone::harness
