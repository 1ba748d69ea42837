// One after the other, whatever the load.
#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

class RoundRobin final : public Router {
 public:
  size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
    return next_++ % replicas.size();
  }

 private:
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Router> make_round_robin_router(const RouterOptions&) {
  return std::make_unique<RoundRobin>();
}

}  // namespace touchstone::simulator
