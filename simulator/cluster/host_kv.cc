#include "simulator/cluster/host_kv.h"

#include <algorithm>
#include <cmath>

namespace touchstone::simulator {

void HostKv::store(std::span<const scheduler::BlockHash> blocks) {
  if (offload_) blocks_.use(blocks, static_cast<size_t>(offload_->blocks));
}

int32_t HostKv::delivered(scheduler::RequestId id) {
  const auto found = delivered_.find(id);
  return found == delivered_.end() ? 0 : found->second;
}

bool HostKv::holds(const scheduler::BlockHash& hash) {
  if (!blocks_.contains(hash)) return false;
  blocks_.use({&hash, 1}, blocks_.size());
  return true;
}

int64_t HostKv::fetch_ns(const scheduler::ScheduledRequest& r) {
  if (!offload_ || r.num_external_tokens == 0) return 0;
  const int32_t sent = std::max(0, delivered(r.id) - r.num_cached_tokens);
  const double tokens = std::max(0, r.num_external_tokens - sent);
  const double ns = tokens * offload_->bytes_per_token / offload_->bytes_per_s * 1e9;
  return ns < 9e18 ? std::llround(ns) : INT64_MAX;
}

}  // namespace touchstone::simulator
