#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// As behind a firewall that forgot the connection. When it ends, connections are reset, as by a
/// host that came back.
FaultKind half_open_fault() {
  return {.word = "half-open",
          .summary = "bytes of both sides are taken and never arrive; nobody is told",
          .proves = "a peer that is gone without a word is found out by a timeout",
          .target = FaultKind::Target::kWire,
          .apply = [](Part& part, const Fault&) { return part.set_wire({.half_open = true}); },
          .undo = [](Part& part) { return part.set_wire({}); }};
}

}  // namespace touchstone::harness
