// Runs replicas behind a router in virtual time over a source of requests.
// Equal inputs give equal results and an equal event fingerprint (INV-8). Thread-compatible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "simulator/cluster/fleet.h"
#include "simulator/cluster/replica.h"
#include "simulator/cluster/router.h"
#include "simulator/request.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

struct SimulationEnd {
  int64_t events = 0;
  uint64_t fingerprint = 0;
  int64_t end_ns = 0;
  std::vector<scheduler::Counters> counters;  ///< by replica
  std::vector<int64_t> on_ns;  ///< by replica: how long it was on, as one pays for it
};

/// Runs until the source is empty and everything that arrived is over. `seed`: of the replicas'
/// noise streams. REQUIRES: `replicas` is not empty.
/// ERRORS: kInvalidArgument: a bad config, replicas of several block sizes (a request's hashes are
/// those of one), a request its replica could never hold, arrivals that
/// go back, virtual time beyond kLatestNs; an adapter that no replica has; those of the source
/// and of validate(FleetOptions).
/// A request that finds no replica open waits in front of the router, in order of arrival.
/// With replicas of Role::kPrefill and Role::kDecode a request's prompt is computed by one of the
/// former, its keys and values go over the fleet's link, and one of the latter, which
/// `decode_router` chooses, gives all tokens. REQUIRES: `decode_router` there, and no null.
Result<SimulationEnd> run_simulation(std::span<const ReplicaOptions> replicas, Router& router,
                                     RequestSource& source, Observer& observer, uint64_t seed,
                                     const FleetOptions& fleet = {},
                                     Router* decode_router = nullptr);

/// One replica, whose step times know no chance.
Result<SimulationEnd> run_simulation(const scheduler::Config& config, RequestSource& source,
                                     const StepTimeModel& model, Observer& observer);

}  // namespace touchstone::simulator
