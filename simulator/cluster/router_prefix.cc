// Where most of the prompt was sent before, so that its blocks are likely in the prefix cache. The
// router remembers the prompts' blocks of what it sent to each replica, the latest ones, as many as
// a replica has: it sees neither evictions nor answers. When the load is uneven, or little of the
// prompt is known anywhere, the fewest requests in flight decide.
// Source of the rule and its thresholds: the cache-aware policy of SGLang's router (0.5 of the
// prompt; uneven: 64 requests and 1.5 times apart).
#include <algorithm>
#include <span>
#include <vector>

#include "simulator/cluster/block_lru.h"
#include "simulator/cluster/router.h"

namespace touchstone::simulator {
namespace {

using scheduler::BlockHash;

constexpr int64_t kUnevenBy = 64;
// As halves: more than 3/2 times apart is uneven, 1/2 of the prompt is enough.
constexpr int64_t kUnevenHalves = 3;

/// Leading blocks that are among the latest that were sent to one replica.
size_t match(std::span<const BlockHash> blocks, const BlockLru& sent) {
  size_t known = 0;
  while (known < blocks.size() && sent.contains(blocks[known])) ++known;
  return known;
}

bool is_uneven(std::span<const ReplicaView> replicas) {
  const auto [least, most] = std::minmax_element(
      replicas.begin(), replicas.end(),
      [](const ReplicaView& a, const ReplicaView& b) { return a.in_flight < b.in_flight; });
  return most->in_flight - least->in_flight > kUnevenBy &&
         2 * most->in_flight > kUnevenHalves * least->in_flight;
}

class PrefixAware final : public Router {
 public:
  explicit PrefixAware(const RouterOptions& options)
      : cache_blocks_(static_cast<size_t>(std::max<int64_t>(1, options.cache_blocks))),
        block_size_(options.block_size) {}

  size_t choose(const SimulatedRequest& request, std::span<const ReplicaView> replicas) override {
    hash_prompt(request);
    size_t chosen = fewest_in_flight(replicas);
    if (!is_uneven(replicas)) {
      size_t longest = 0;
      for (size_t i = 0; i < replicas.size(); ++i) {
        const size_t known = match(blocks_, of(replicas[i].replica));
        if (known <= longest || 2 * known < blocks_.size()) continue;
        longest = known;
        chosen = i;
      }
    }
    of(replicas[chosen].replica).use(blocks_, cache_blocks_);
    return chosen;
  }

 private:
  BlockLru& of(int32_t replica) {
    const auto index = static_cast<size_t>(replica);
    if (index >= sent_.size()) sent_.resize(index + 1);
    return sent_[index];
  }

  /// The chain is known to the end of the answer; a router sees the prompt.
  void hash_prompt(const SimulatedRequest& request) {
    const scheduler::NewRequest& r = request.request;
    if (!r.hash_source) {
      blocks_ = r.block_hashes;
      return;
    }
    const auto in_prompt = static_cast<size_t>(r.num_prompt_tokens / block_size_);
    blocks_.clear();
    r.hash_source->extend(blocks_, std::min(r.hash_source->size(), in_prompt));
  }

  const size_t cache_blocks_;
  const int32_t block_size_;
  std::vector<BlockLru> sent_;
  std::vector<BlockHash> blocks_;
};

}  // namespace

std::unique_ptr<Router> make_prefix_router(const RouterOptions& options) {
  return std::make_unique<PrefixAware>(options);
}

}  // namespace touchstone::simulator
