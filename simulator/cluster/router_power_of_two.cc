// Two different replicas by chance, then the one with fewer requests in flight (Mitzenmacher's
// power of two choices): nearly as even as the fewest of all, at the cost of two looks.
#include "base/random.h"
#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

class PowerOfTwo final : public Router {
 public:
  explicit PowerOfTwo(uint64_t seed) : random_(seed, "router") {}
  size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
    const size_t count = replicas.size();
    const auto first = static_cast<size_t>(random_.below(count));
    if (count == 1) return first;
    const auto step = 1 + static_cast<size_t>(random_.below(count - 1));
    const size_t second = (first + step) % count;
    return replicas[second].in_flight < replicas[first].in_flight ? second : first;
  }

 private:
  RandomStream random_;
};

}  // namespace

std::unique_ptr<Router> make_power_of_two_router(const RouterOptions& options) {
  return std::make_unique<PowerOfTwo>(options.seed);
}

}  // namespace touchstone::simulator
