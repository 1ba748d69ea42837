// Workload requests whose sessions wait for themselves: a turn with a think time arrives that long
// after the turn before it is over, but not before its own arrival. Requests without one arrive as
// they say. Holds the turns that wait, and one time for each session. Thread-compatible.
#pragma once

#include <memory>

#include "reference_engine/scheduler/config.h"
#include "simulator/request.h"
#include "simulator/sources.h"

namespace touchstone::simulator {

std::unique_ptr<RequestSource> make_session_source(WorkloadFeed feed,
                                                   const scheduler::Config& config);

}  // namespace touchstone::simulator
