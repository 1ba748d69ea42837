// The replica with the most free KV blocks as last reported, less the prompts that were sent to it
// since; the first of equals.
#include <algorithm>

#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

int64_t free_blocks(const ReplicaView& r, int64_t block_size) {
  // One that has reported nothing yet is empty.
  const int64_t free = r.reported.total_blocks == 0 ? INT64_MAX / 2 : r.reported.free_blocks;
  return free - r.sent_tokens_since_report / block_size;
}

class LeastKv final : public Router {
 public:
  explicit LeastKv(int64_t block_size) : block_size_(block_size) {}
  size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
    const auto most =
        std::max_element(replicas.begin(), replicas.end(), [this](const auto& a, const auto& b) {
          return free_blocks(a, block_size_) < free_blocks(b, block_size_);
        });
    return static_cast<size_t>(most - replicas.begin());
  }

 private:
  const int64_t block_size_;
};

}  // namespace

std::unique_ptr<Router> make_least_kv_router(const RouterOptions& options) {
  return std::make_unique<LeastKv>(options.block_size);
}

}  // namespace touchstone::simulator
