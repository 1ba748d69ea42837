// One constructor a kind of fault; each stands in the file of its name.
#pragma once

#include "harness/faults/fault.h"

namespace touchstone::harness {

FaultKind kill_fault();
FaultKind restart_fault();
FaultKind stop_fault();

}  // namespace touchstone::harness
