#include "simulator/cluster/ways.h"

#include <algorithm>
#include <utility>

#include "simulator/frontend.h"

namespace touchstone::simulator {

Ways::Ways(std::span<const ReplicaOptions> replicas, const std::optional<TransferLink>& link)
    : link_(link), link_free_ns_(replicas.size()) {
  for (const ReplicaOptions& r : replicas) frontends_.push_back(r.model.frontend());
}

int64_t Ways::arrival_ns(const SimulatedRequest& request, int32_t replica, int64_t now_ns) {
  const int32_t tokens = request.request.num_prompt_tokens;
  if (!request.prefilled_by) {
    return now_ns + frontend_in_ns(frontends_[static_cast<size_t>(replica)], tokens);
  }
  int64_t& free_ns = link_free_ns_[static_cast<size_t>(*request.prefilled_by)];
  const double takes_ns = tokens * link_->bytes_per_token / link_->bytes_per_s * 1e9;
  // Bounded, so that sums fit: what is beyond kLatestNs is refused whatever it is.
  const auto bounded_ns = static_cast<int64_t>(std::min(takes_ns, 1e18));
  free_ns = std::min(std::max(now_ns, free_ns) + bounded_ns, kLatestNs);
  return free_ns + std::min<int64_t>(link_->latency_ns, kEpochUnixNs);
}

int64_t Ways::out_ns(int32_t replica) const {
  return frontend_out_ns(frontends_[static_cast<size_t>(replica)], 1);
}

void Ways::put(SimulatedRequest&& request, int32_t replica, int64_t there_ns) {
  const scheduler::RequestId id = request.request.id;
  on_way_.insert_or_assign(id, OnWay{replica, there_ns, std::move(request)});
}

std::optional<SimulatedRequest> Ways::take(scheduler::RequestId id, int32_t replica,
                                           int64_t now_ns) {
  const auto found = on_way_.find(id);
  if (found == on_way_.end() || found->second.replica != replica ||
      found->second.there_ns != now_ns) {
    return std::nullopt;
  }
  SimulatedRequest request = std::move(found->second.request);
  on_way_.erase(found);
  return request;
}

}  // namespace touchstone::simulator
