// The replica with the fewest requests in flight by the router's own books; the first of equals.
#include <algorithm>

#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

class LeastRequests final : public Router {
 public:
  size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
    const auto least = std::min_element(
        replicas.begin(), replicas.end(),
        [](const ReplicaView& a, const ReplicaView& b) { return a.in_flight < b.in_flight; });
    return static_cast<size_t>(least - replicas.begin());
  }
};

}  // namespace

std::unique_ptr<Router> make_least_requests_router() { return std::make_unique<LeastRequests>(); }

}  // namespace touchstone::simulator
