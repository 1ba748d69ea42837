// Which replicas serve, and what the router may know of them: start-up, outages, limits of
// admission, an autoscaler. The simulation asks; nothing here knows the scheduler.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "simulator/cluster/replica.h"
#include "simulator/cluster/router.h"

namespace touchstone::simulator {

/// A replica crashes: what it had in flight and its cache are lost; it is back after start-up.
struct Outage {
  int32_t replica = 0;
  int64_t at_ns = 0;
  int64_t length_ns = 0;  ///< until it starts up again
};

/// Keeps so many replicas that each has about `target_in_flight` requests, queued ones included:
/// more at once, fewer when fewer would have done for the whole of `settle_ns` (as the Kubernetes
/// HPA with its stabilization window).
struct AutoscalerOptions {
  int64_t interval_ns = 15'000'000'000;
  int64_t settle_ns = 300'000'000'000;
  double target_in_flight = 1;
  int64_t least = 1;  ///< and at the start
};

/// Between servers that prefill and servers that decode: each of the former sends one prompt's keys
/// and values after the other, whole.
struct TransferLink {
  int64_t latency_ns = 0;
  double bytes_per_s = 0;
  double bytes_per_token = 0;
};

struct FleetOptions {
  /// A replica's gauges reach the router no more often than this; 0: with each step.
  int64_t report_interval_ns = 0;
  /// Requests in flight at a replica beyond which nothing is sent to it.
  std::optional<int64_t> in_flight_max;
  /// Requests that wait for a replica in front of the router; beyond, they are refused. nullopt:
  /// any number.
  std::optional<int64_t> queue_max;
  std::vector<Outage> outages;
  bool retry = true;  ///< what a crash interrupted is sent again, else it fails
  std::optional<AutoscalerOptions> autoscaler;
  /// With replicas of Role::kPrefill and Role::kDecode only.
  std::optional<TransferLink> link;
};

/// ERRORS: kInvalidArgument naming the option.
Status validate(const FleetOptions& options, std::span<const ReplicaOptions> replicas);

/// What a request wants of a replica.
struct Need {
  Role role = Role::kBoth;
  std::string_view adapter = {};
};

class Fleet final {
 public:
  /// REQUIRES: validate(options, replicas).
  Fleet(std::span<const ReplicaOptions> replicas, const FleetOptions& options);

  /// The replicas that may get such a request now. Valid until the next call of anything here.
  std::span<const ReplicaView> open(const Need& need);
  /// Whether any replica could ever.
  bool has(const Need& need) const;
  ReplicaView& view(int32_t replica) { return views_[static_cast<size_t>(replica)]; }
  void sent(int32_t replica, const SimulatedRequest& request);
  /// A request that was sent is over; true when that turned a draining replica off.
  bool ended(int32_t replica, int64_t now_ns);
  void reported(int32_t replica, const scheduler::State& state, int64_t now_ns);

  bool serves(int32_t replica) const { return phase(replica) == Phase::kServing; }
  void crash(int32_t replica);
  /// It is up: begins to serve, if it is still wanted.
  void up(int32_t replica);

  /// What the autoscaler wants started; others it drains by itself. `queued`: in front.
  std::vector<int32_t> scale(int64_t now_ns, int64_t queued);

  /// Time that each replica was on (starting, serving, draining or down) until now.
  std::vector<int64_t> on_ns(int64_t now_ns) const;

 private:
  enum class Phase { kOff, kStarting, kServing, kDown, kDraining };
  Phase phase(int32_t replica) const { return phases_[static_cast<size_t>(replica)]; }
  void set(int32_t replica, Phase phase);
  void turn_off(int32_t replica, int64_t now_ns);

  bool meets(int32_t replica, const Need& need) const;

  const FleetOptions options_;
  const std::span<const ReplicaOptions> replicas_;
  std::vector<ReplicaView> views_;
  std::vector<Phase> phases_;
  std::vector<int64_t> on_since_ns_;  ///< -1: off
  std::vector<int64_t> on_before_ns_;
  bool all_alike_ = true;  ///< one role, and all have every adapter
  bool all_open_ = true;   ///< everything serves, and nothing limits it
  std::vector<ReplicaView> open_;
  /// Replicas that were wanted, by time, within settle_ns.
  std::vector<std::pair<int64_t, int64_t>> wanted_;
};

}  // namespace touchstone::simulator
