#include "harness/faults/kinds.h"

namespace touchstone::harness {

/// A small file system of the run's own, so that no other is touched.
FaultKind full_disk_fault() {
  return {.word = "full-disk",
          .summary = "the disk of its files is full",
          .proves = "what cannot be written is counted, and goes on once there is room",
          .target = FaultKind::Target::kDisk,
          .apply = [](Part& part, const Fault&) { return part.fill_disk(); },
          .undo = [](Part& part) { return part.free_disk(); }};
}

}  // namespace touchstone::harness
