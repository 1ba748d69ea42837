#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// A damaged path: checksums of TCP are weak, and proxies write them anew.
FaultKind corrupt_fault() {
  return {.word = "corrupt",
          .summary = "one byte in so many of what goes to the server is inverted",
          .proves = "what is no OTLP any more is refused and counted, never taken for telemetry",
          .target = FaultKind::Target::kWire,
          .apply =
              [](Part& part, const Fault& fault) {
                return part.set_wire({.corrupt_every_bytes = fault.value("every")});
              },
          .undo = [](Part& part) { return part.set_wire({}); },
          .options = {{"every", FaultOption::Unit::kCount, 1000, "bytes"}}};
}

}  // namespace touchstone::harness
