// The order of events that happen at the same instant, with the reason for each place.
#pragma once

#include <array>

#include "simulator/kernel/event_queue.h"

namespace touchstone::simulator {

struct PriorityRow {
  EventKind kind;
  const char* name;
  const char* reason;
};

/// By priority: the first goes first.
inline constexpr std::array<PriorityRow, 4> kPriorities = {{
    {EventKind::kStepEnd, "step end",
     "a step's results exist from its end on: what it finished is free before anything else looks"},
    {EventKind::kAbort, "abort",
     "a client that leaves frees its place for one that comes at the same instant"},
    {EventKind::kArrival, "arrival", "a request that is there when a step starts is seen by it"},
    {EventKind::kStepStart, "step start",
     "last: it decides with everything known that happened up to its instant"},
}};

}  // namespace touchstone::simulator
