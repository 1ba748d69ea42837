// The replica with the fewest requests in flight by the router's own books; the first of equals.
#include <algorithm>

#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

class LeastRequests final : public Router {
 public:
  size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
    return fewest_in_flight(replicas);
  }
};

}  // namespace

size_t fewest_in_flight(std::span<const ReplicaView> replicas) {
  const auto least = std::min_element(
      replicas.begin(), replicas.end(),
      [](const ReplicaView& a, const ReplicaView& b) { return a.in_flight < b.in_flight; });
  return static_cast<size_t>(least - replicas.begin());
}

std::unique_ptr<Router> make_least_requests_router(const RouterOptions&) {
  return std::make_unique<LeastRequests>();
}

}  // namespace touchstone::simulator
