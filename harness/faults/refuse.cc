#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// As while a process is away, without ending it.
FaultKind refuse_fault() {
  return {.word = "refuse",
          .summary = "nobody listens: connections are cut and new ones refused",
          .proves = "senders try again and keep what they have",
          .target = FaultKind::Target::kWire,
          .apply = [](Part& part, const Fault&) { return part.set_wire({.refuse = true}); },
          .undo = [](Part& part) { return part.set_wire({}); }};
}

}  // namespace touchstone::harness
