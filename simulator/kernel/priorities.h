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
inline constexpr std::array<PriorityRow, 8> kPriorities = {{
    {EventKind::kStepEnd, "step end",
     "a step's results exist from its end on: what it finished is free before anything else looks"},
    {EventKind::kAbort, "abort",
     "a client that leaves frees its place for one that comes at the same instant"},
    {EventKind::kArrival, "arrival", "a request that is there when a step starts is seen by it"},
    {EventKind::kDelivery, "delivery",
     "what reaches a replica when a step starts is seen by it, as an arrival is"},
    {EventKind::kStepStart, "step start",
     "after what it decides about: it knows everything that happened up to its instant"},
    {EventKind::kReplicaDown, "replica down",
     "the fleet changes when an instant is over: what ends with it has ended"},
    {EventKind::kReplicaUp, "replica up", "one that is back at an instant serves from then on"},
    {EventKind::kAutoscale, "autoscale",
     "last: it sees the fleet and its requests as the instant leaves them"},
}};

/// What else is to come (clients that would have given up, outages, scaling) changes nothing once
/// every request is over.
constexpr bool is_work(EventKind kind) {
  return kind == EventKind::kStepEnd || kind == EventKind::kStepStart ||
         kind == EventKind::kArrival || kind == EventKind::kDelivery;
}

}  // namespace touchstone::simulator
