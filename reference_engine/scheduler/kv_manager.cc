#include "reference_engine/scheduler/kv_manager.h"

#include <algorithm>

#include "base/check.h"

namespace touchstone::scheduler {

KvManager::KvManager(const Config& config)
    : pool_(config.num_blocks),
      block_size_(config.block_size),
      enable_prefix_caching_(config.enable_prefix_caching),
      reserve_full_prompt_(config.reserve_full_prompt) {
  prefix_.reserve(static_cast<size_t>(blocks_for(config.max_model_len)));
}

int32_t KvManager::find_prefix(const Request& request) {
  prefix_.clear();
  if (!enable_prefix_caching_ || request.skip_reading_prefix_cache) return 0;
  const size_t most =
      std::min(static_cast<size_t>((request.num_tokens - 1) / block_size_), request.hashes.size());
  for (size_t i = 0; i < most; ++i) {
    const std::optional<BlockId> block = pool_.find(request.hashes[i]);
    if (!block) break;
    prefix_.push_back(*block);
  }
  return static_cast<int32_t>(prefix_.size()) * block_size_;
}

bool KvManager::admit(Request& request, int32_t num_new_tokens, int64_t watermark) {
  BASE_CHECK(request.blocks.empty(), "request ", request.id, " holds blocks");
  const int32_t hits = static_cast<int32_t>(prefix_.size());
  const int32_t num_tokens = hits * block_size_ + num_new_tokens;
  // A hit block that is free now leaves the free list too.
  const auto free_hits =
      std::count_if(prefix_.begin(), prefix_.end(), [this](BlockId b) { return pool_.is_free(b); });
  const int32_t must_fit = reserve_full_prompt_ ? request.num_tokens : num_tokens;
  if (blocks_for(must_fit) - hits + free_hits + watermark > pool_.free()) return false;
  for (const BlockId block : prefix_) pool_.touch(block);
  request.blocks.assign(prefix_.begin(), prefix_.end());
  request.num_hashed_blocks = hits;
  const bool grown = grow(request, num_tokens);
  BASE_CHECK(grown, "request ", request.id, " fits and does not fit");
  return true;
}

bool KvManager::grow(Request& request, int32_t num_tokens) {
  const int64_t missing = blocks_for(num_tokens) - static_cast<int64_t>(request.blocks.size());
  if (missing <= 0) return true;
  if (missing > pool_.free()) return false;
  for (int64_t i = 0; i < missing; ++i) request.blocks.push_back(pool_.take());
  return true;
}

void KvManager::cache_full_blocks(Request& request, int32_t num_tokens) {
  if (!enable_prefix_caching_) return;
  const int32_t full =
      std::min(num_tokens / block_size_, static_cast<int32_t>(request.hashes.size()));
  for (int32_t i = request.num_hashed_blocks; i < full; ++i) {
    pool_.set_hash(request.blocks[static_cast<size_t>(i)], request.hashes[static_cast<size_t>(i)]);
  }
  request.num_hashed_blocks = std::max(request.num_hashed_blocks, full);
}

void KvManager::uncache_after(Request& request, int32_t num_tokens) {
  const int32_t computed = num_tokens / block_size_;
  for (int32_t i = computed; i < request.num_hashed_blocks; ++i) {
    pool_.clear_hash(request.blocks[static_cast<size_t>(i)]);
  }
  request.num_hashed_blocks = std::min(request.num_hashed_blocks, computed);
}

void KvManager::release(Request& request) {
  for (size_t i = request.blocks.size(); i > 0; --i) pool_.release(request.blocks[i - 1]);
  request.blocks.clear();
  request.num_hashed_blocks = 0;
}

}  // namespace touchstone::scheduler
