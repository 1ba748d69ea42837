// Which replica a request goes to. One file a router; the table in routers.cc is what --router
// accepts. A router sees what a real one could: its own books, and gauges that are as old as the
// replica's latest report. Deterministic. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reference_engine/scheduler/types.h"
#include "simulator/request.h"

namespace touchstone::simulator {

/// One replica as a router knows it.
struct ReplicaView {
  /// Sent there and not over. The router's own books: true at the instant of the choice.
  int64_t in_flight = 0;
  /// The scheduler's gauges as of `reported_ns`, the start of the replica's latest step: what
  /// came or went since is not in them.
  scheduler::State reported = {};
  int64_t reported_ns = 0;
  int64_t sent_since_report = 0;
};

class Router {
 public:
  virtual ~Router() = default;
  /// The index of the replica that shall serve `request`. Called once for each request, when it
  /// arrives. REQUIRES: `replicas` is not empty and has the same size at each call.
  virtual size_t choose(const SimulatedRequest& request, std::span<const ReplicaView> replicas) = 0;
};

struct RouterRow {
  const char* name;
  const char* summary;  ///< for --help
  std::unique_ptr<Router> (*make)();
};

const std::vector<RouterRow>& routers();
/// ERRORS: kInvalidArgument that lists the names.
Result<std::unique_ptr<Router>> make_router(std::string_view name);

/// Rows of the table.
std::unique_ptr<Router> make_round_robin_router();
std::unique_ptr<Router> make_least_requests_router();
std::unique_ptr<Router> make_least_load_router();

}  // namespace touchstone::simulator
