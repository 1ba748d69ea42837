// All turns of a session to one replica, chosen by rendezvous hashing: when a replica goes or
// comes, only its sessions move. A request without a session goes where the fewest are in flight.
#include "base/random.h"
#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

class SessionAffinity final : public Router {
 public:
  size_t choose(const SimulatedRequest& request, std::span<const ReplicaView> replicas) override {
    if (request.session == 0) return fewest_in_flight(replicas);
    size_t best = 0;
    uint64_t most = 0;
    for (size_t i = 0; i < replicas.size(); ++i) {
      uint64_t state =
          request.session ^ (static_cast<uint64_t>(replicas[i].replica) + 1) * 0x9e3779b97f4a7c15;
      const uint64_t weight = splitmix64(state);
      if (i > 0 && weight <= most) continue;
      most = weight;
      best = i;
    }
    return best;
  }
};

}  // namespace

std::unique_ptr<Router> make_session_router(const RouterOptions&) {
  return std::make_unique<SessionAffinity>();
}

}  // namespace touchstone::simulator
