#include "base/clock.h"
#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// A long or crowded line.
FaultKind slow_fault() {
  return {.word = "slow",
          .summary = "every byte is late, and few pass in a second",
          .proves = "timeouts, queues and back-pressure hold what a slow network delays",
          .target = FaultKind::Target::kWire,
          .apply =
              [](Part& part, const Fault& fault) {
                return part.set_wire({.latency_ns = fault.value("latency"),
                                      .bytes_per_s = fault.value("bytes_per_s")});
              },
          .undo = [](Part& part) { return part.set_wire({}); },
          .options = {{"latency", FaultOption::Unit::kDuration, 100 * kNsPerMs, "each way"},
                      {"bytes_per_s", FaultOption::Unit::kCount, 1'000'000,
                       "of a connection, each way"}}};
}

}  // namespace touchstone::harness
