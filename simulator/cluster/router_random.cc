// Any replica, by chance: a split of a Poisson load into Poisson loads.
#include "base/random.h"
#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

class Random final : public Router {
 public:
  explicit Random(uint64_t seed) : random_(seed, "router") {}
  size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
    return static_cast<size_t>(random_.below(replicas.size()));
  }

 private:
  RandomStream random_;
};

}  // namespace

std::unique_ptr<Router> make_random_router(const RouterOptions& options) {
  return std::make_unique<Random>(options.seed);
}

}  // namespace touchstone::simulator
