#include "reference_engine/scheduler/kv_manager.h"

#include <algorithm>

#include "base/check.h"

namespace touchstone::scheduler {
namespace {

constexpr size_t kAhead = BlockPool::kAhead;

}  // namespace

KvManager::KvManager(const Config& config)
    : pool_(config.num_blocks),
      block_size_(config.block_size),
      sliding_window_(config.sliding_window),
      enable_prefix_caching_(config.enable_prefix_caching),
      reserve_full_prompt_(config.reserve_full_prompt) {
  prefix_.reserve(static_cast<size_t>(blocks_for(config.max_model_len)));
}

int32_t KvManager::find_prefix(Request& request) {
  prefix_.clear();
  if (!enable_prefix_caching_ || request.skip_reading_prefix_cache) return 0;
  const size_t most =
      std::min(static_cast<size_t>((request.num_tokens - 1) / block_size_), request.num_hashes());
  if (sliding_window_ > 0) {
    find_window_prefix(request, most);
  } else {
    find_full_prefix(request, most);
  }
  return static_cast<int32_t>(prefix_.size()) * block_size_;
}

/// The hashes of the first `count` blocks at least. Hashes are made some at a time: a miss near the
/// front saves the rest.
std::span<const BlockHash> KvManager::hashes(Request& request, size_t count, size_t most) const {
  constexpr size_t kAtOnce = 64;
  if (count > request.hashes.size()) {
    request.hashes.reserve(request.num_hashes());
    request.hash_source->extend(request.hashes,
                                std::min(std::max(count, request.hashes.size() + kAtOnce), most));
  }
  return request.hashes;
}

void KvManager::find_full_prefix(Request& request, size_t most) {
  for (size_t i = 0; i < most; ++i) {
    const std::span<const BlockHash> known = hashes(request, i + 1, most);
    if (i + kAhead < known.size()) pool_.prefetch(known[i + kAhead]);
    const std::optional<BlockId> block = pool_.find(known[i]);
    if (!block) return;
    prefix_.push_back(*block);
  }
}

/// From the right: as many cached blocks in a row as the window reaches back over.
void KvManager::find_window_prefix(Request& request, size_t most) {
  const size_t needed = static_cast<size_t>(blocks_for(sliding_window_ - 1));
  prefix_.resize(most, kNullBlock);
  size_t in_a_row = 0;
  for (size_t i = most; i > 0; --i) {
    if (in_a_row > 0 && in_a_row >= needed) {
      prefix_.resize(i + in_a_row);
      std::fill(prefix_.begin(), prefix_.begin() + static_cast<std::ptrdiff_t>(i), kNullBlock);
      return;
    }
    const std::optional<BlockId> block = pool_.find(hashes(request, i, most)[i - 1]);
    prefix_[i - 1] = block.value_or(kNullBlock);
    in_a_row = block ? in_a_row + 1 : 0;
  }
  prefix_.resize(in_a_row);  // a row from the first block on is a hit however short
}

int32_t KvManager::find_external(Request& request, int32_t num_cached, ExternalKv& external) const {
  int32_t reached = std::min(external.delivered(request.id), request.num_tokens - 1);
  if (enable_prefix_caching_ && sliding_window_ == 0 && !request.skip_reading_prefix_cache) {
    const size_t most =
        std::min(static_cast<size_t>((request.num_tokens - 1) / block_size_), request.num_hashes());
    size_t block = static_cast<size_t>(num_cached / block_size_);
    while (block < most && external.holds(hashes(request, block + 1, most)[block])) ++block;
    reached = std::max(reached, static_cast<int32_t>(block) * block_size_);
  }
  return std::max(0, reached - num_cached);
}

bool KvManager::admit(Request& request, int32_t num_new_tokens, int64_t watermark) {
  BASE_CHECK(request.blocks.empty(), "request ", request.id, " holds blocks");
  const int32_t hits = static_cast<int32_t>(prefix_.size());
  const int32_t num_tokens = hits * block_size_ + num_new_tokens;
  // A hit block that is free now leaves the free list too.
  const auto free_hits = std::count_if(prefix_.begin(), prefix_.end(), [this](BlockId b) {
    return b != kNullBlock && pool_.is_free(b);
  });
  const int32_t must_fit = reserve_full_prompt_ ? request.num_tokens : num_tokens;
  if (blocks_for(must_fit) - hits + free_hits + watermark > pool_.free()) return false;
  int32_t outside = 0;
  for (const BlockId block : prefix_) {
    if (block != kNullBlock) {
      pool_.touch(block);
    } else {
      ++outside;  // null blocks stand in front only
    }
  }
  request.blocks.assign(prefix_.begin(), prefix_.end());
  request.num_hashed_blocks = hits;
  request.num_window_blocks = outside;
  const bool grown = grow(request, num_tokens);
  BASE_CHECK(grown, "request ", request.id, " fits and does not fit");
  return true;
}

/// The part of grow() that few tokens need.
bool KvManager::take(Request& request, int32_t num_tokens) {
  const int64_t missing = blocks_for(num_tokens) - std::ssize(request.blocks);
  if (missing > pool_.free()) return false;
  for (int64_t i = 0; i < missing; ++i) request.blocks.push_back(pool_.take());
  return true;
}

void KvManager::leave_window(Request& request) {
  if (sliding_window_ == 0) return;
  const int32_t settled = request.num_computed_tokens - request.num_tokens_in_flight;
  const int32_t outside = std::max(0, settled - sliding_window_ + 1) / block_size_;
  for (int32_t i = outside; i > request.num_window_blocks; --i) {
    BlockId& block = request.blocks[static_cast<size_t>(i - 1)];
    pool_.release(block);
    block = kNullBlock;
  }
  request.num_window_blocks = std::max(request.num_window_blocks, outside);
}

/// The part of cache_full_blocks() that few tokens need.
void KvManager::set_hashes(Request& request, int32_t num_tokens) {
  const size_t full = std::min(static_cast<size_t>(num_tokens / block_size_), request.num_hashes());
  const size_t first = static_cast<size_t>(request.num_hashed_blocks);
  if (first >= full) return;
  const std::span<const BlockHash> known = hashes(request, full, full);
  for (size_t i = first; i < full; ++i) {
    if (i + kAhead < known.size()) pool_.prefetch(known[i + kAhead]);
    pool_.set_hash(request.blocks[i], known[i]);
  }
  request.num_hashed_blocks = static_cast<int32_t>(full);
}

void KvManager::uncache_after(Request& request, int32_t num_tokens) {
  const int32_t computed = num_tokens / block_size_;
  for (int32_t i = computed; i < request.num_hashed_blocks; ++i) {
    pool_.clear_hash(request.blocks[static_cast<size_t>(i)]);
  }
  request.num_hashed_blocks = std::min(request.num_hashed_blocks, computed);
}

void KvManager::release(Request& request) {
  const size_t held = static_cast<size_t>(request.num_window_blocks);
  for (size_t i = request.blocks.size(); i > held; --i) {
    if (i > held + kAhead) pool_.prefetch(request.blocks[i - 1 - kAhead]);
    pool_.release(request.blocks[i - 1]);
  }
  request.blocks.clear();
  request.num_hashed_blocks = 0;
  request.num_window_blocks = 0;
}

}  // namespace touchstone::scheduler
