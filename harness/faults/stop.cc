#include <signal.h>

#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// A part that hangs: its ports are open and nothing is answered.
FaultKind stop_fault() {
  return {.word = "stop",
          .summary = "SIGSTOP: it hangs, for +DURATION or to the end of the load, then SIGCONT",
          .proves = "nobody waits for ever for a part that hangs, and nothing is lost over it",
          .apply = [](Part& part, const Fault&) { return part.send_signal(SIGSTOP); },
          .undo = [](Part& part) { return part.send_signal(SIGCONT); }};
}

}  // namespace touchstone::harness
