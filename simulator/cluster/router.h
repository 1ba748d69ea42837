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
  int32_t replica = 0;  ///< its index in the fleet
  /// Sent there and not over. The router's own books: true at the instant of the choice.
  int64_t in_flight = 0;
  /// The scheduler's gauges as of `reported_ns`, the start of a step of the replica, its latest
  /// unless it reports more rarely: what came or went since is not in them.
  scheduler::State reported = {};
  int64_t reported_ns = 0;
  int64_t sent_since_report = 0;
  int64_t sent_tokens_since_report = 0;  ///< of prompts
};

class Router {
 public:
  virtual ~Router() = default;
  /// Which of `replicas`, those that may get a request now, shall serve this one: an index into
  /// them. Called when a request is sent, again if a crash interrupts it.
  /// REQUIRES: `replicas` is not empty and ordered by ReplicaView::replica.
  virtual size_t choose(const SimulatedRequest& request, std::span<const ReplicaView> replicas) = 0;
};

/// What a router may be told about the fleet before it starts.
struct RouterOptions {
  uint64_t seed = 0;
  int64_t cache_blocks = 0;  ///< of one replica, for those that remember what was sent where
  int32_t block_size = 16;
};

struct RouterRow {
  const char* name;
  const char* summary;  ///< for --help
  std::unique_ptr<Router> (*make)(const RouterOptions& options);
};

const std::vector<RouterRow>& routers();
/// ERRORS: kInvalidArgument that lists the names.
Result<std::unique_ptr<Router>> make_router(std::string_view name, const RouterOptions& options);

/// Rows of the table.
std::unique_ptr<Router> make_round_robin_router(const RouterOptions& options = {});
std::unique_ptr<Router> make_random_router(const RouterOptions& options);
std::unique_ptr<Router> make_least_requests_router(const RouterOptions& options = {});
std::unique_ptr<Router> make_least_load_router(const RouterOptions& options = {});
std::unique_ptr<Router> make_least_kv_router(const RouterOptions& options);
std::unique_ptr<Router> make_power_of_two_router(const RouterOptions& options);
std::unique_ptr<Router> make_session_router(const RouterOptions& options = {});
std::unique_ptr<Router> make_prefix_router(const RouterOptions& options);

/// The index of the replica with the fewest requests in flight; the first of equals.
size_t fewest_in_flight(std::span<const ReplicaView> replicas);

}  // namespace touchstone::simulator
