// vLLM's choice between its data-parallel engines: four times the waiting requests plus the running
// ones, as last reported, with what was sent since counted as waiting; the first of equals.
// Source: vLLM 0.32 v1/engine/core_client.py, DPLBAsyncMPClient.
#include <algorithm>

#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

constexpr int64_t kWaitingWeight = 4;

int64_t load(const ReplicaView& r) {
  return kWaitingWeight * (r.reported.waiting + r.sent_since_report) + r.reported.running;
}

class LeastLoad final : public Router {
 public:
  size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
    const auto least =
        std::min_element(replicas.begin(), replicas.end(),
                         [](const auto& a, const auto& b) { return load(a) < load(b); });
    return static_cast<size_t>(least - replicas.begin());
  }
};

}  // namespace

std::unique_ptr<Router> make_least_load_router(const RouterOptions&) {
  return std::make_unique<LeastLoad>();
}

}  // namespace touchstone::simulator
