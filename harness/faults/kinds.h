// One constructor a kind of fault; each stands in the file of its name.
#pragma once

#include "harness/faults/fault.h"

namespace touchstone::harness {

FaultKind clock_fault();
FaultKind corrupt_fault();
FaultKind full_disk_fault();
FaultKind half_open_fault();
FaultKind kill_fault();
FaultKind partial_fault();
FaultKind refuse_fault();
FaultKind reset_fault();
FaultKind restart_fault();
FaultKind slow_fault();
FaultKind stop_fault();
FaultKind throttle_fault();
FaultKind unavailable_fault();

}  // namespace touchstone::harness
