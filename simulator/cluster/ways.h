// Requests between the router and their replica: through its frontend, or over the link from the
// replica that computed their prompt. Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "simulator/cluster/fleet.h"
#include "simulator/cluster/replica.h"
#include "simulator/steptime/model.h"

namespace touchstone::simulator {

class Ways final {
 public:
  Ways(std::span<const ReplicaOptions> replicas, const std::optional<TransferLink>& link);

  /// When one that is sent now reaches the replica; takes its time of the link.
  int64_t arrival_ns(const SimulatedRequest& request, int32_t replica, int64_t now_ns);
  /// How long the end of an answer takes to its client.
  int64_t out_ns(int32_t replica) const;

  void put(SimulatedRequest&& request, int32_t replica, int64_t there_ns);
  /// The one that reaches the replica now; nullopt when it was taken back meanwhile.
  std::optional<SimulatedRequest> take(scheduler::RequestId id, int32_t replica, int64_t now_ns);
  /// Its replica crashed.
  void take_back(scheduler::RequestId id) { on_way_.erase(id); }

 private:
  struct OnWay {
    int32_t replica;
    int64_t there_ns;
    SimulatedRequest request;
  };
  const std::optional<TransferLink> link_;
  std::vector<FrontendLatency> frontends_;                  // by replica
  std::vector<int64_t> link_free_ns_;                       // by replica that sends
  std::unordered_map<scheduler::RequestId, OnWay> on_way_;  // looked up only
};

}  // namespace touchstone::simulator
