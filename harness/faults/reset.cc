#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// As a load balancer with a limit does it, or a peer that crashes.
FaultKind reset_fault() {
  return {.word = "reset",
          .summary = "connections are reset after so many bytes, both ways counted together",
          .proves = "a request or answer cut in its middle is sent again, and recorded once",
          .target = FaultKind::Target::kWire,
          .apply =
              [](Part& part, const Fault& fault) {
                return part.set_wire({.reset_after_bytes = fault.value("after")});
              },
          .undo = [](Part& part) { return part.set_wire({}); },
          .options = {{"after", FaultOption::Unit::kCount, 4096, "bytes of a connection"}}};
}

}  // namespace touchstone::harness
