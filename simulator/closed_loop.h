// A closed loop: so many clients, each of which sends its next request when its last one is over
// and it has thought. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "simulator/request.h"

namespace touchstone::simulator {

struct ClosedLoopOptions {
  int64_t concurrency = 1;    ///< clients, all of which start at 0
  int64_t think_time_ns = 0;  ///< from the end of a request to the arrival of the next
};

/// The requests of `requests` in their order; its arrivals are not used. Times at which clients
/// hang up move with the arrivals. REQUIRES: concurrency >= 1, think_time_ns >= 0.
std::unique_ptr<RequestSource> make_closed_loop_source(const ClosedLoopOptions& options,
                                                       std::unique_ptr<RequestSource> requests);

}  // namespace touchstone::simulator
