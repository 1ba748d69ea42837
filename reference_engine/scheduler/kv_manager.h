// Gives requests their blocks and finds prefixes that are cached already.
// Source: vLLM 0.32 v1/core/kv_cache_manager.py (get_computed_blocks, allocate_slots, free) and
// v1/core/single_type_kv_cache_manager.py (FullAttentionManager, SlidingWindowManager).
// Thread-compatible; allocates only while block tables and lazy hashes still grow.
#pragma once

#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "reference_engine/scheduler/block_pool.h"
#include "reference_engine/scheduler/config.h"
#include "reference_engine/scheduler/external_kv.h"
#include "reference_engine/scheduler/request.h"

namespace touchstone::scheduler {

class KvManager final {
 public:
  explicit KvManager(const Config& config);

  /// Finds the longest cached prefix of `request`, at most num_tokens - 1 tokens, so that at least
  /// one token is computed. With a sliding window only the blocks that the next token sees must be
  /// cached; null blocks stand for those before. Result: its tokens, a multiple of the block size.
  /// The blocks are remembered for the admit() that follows.
  int32_t find_prefix(Request& request);

  /// How many tokens after the `num_cached` of the found prefix can be had from `external`, leaving
  /// one at least to compute. REQUIRES: find_prefix(request) was the last call.
  int32_t find_external(Request& request, int32_t num_cached, ExternalKv& external) const;

  /// Takes the found prefix and new blocks for `num_new_tokens` after it. False, with nothing
  /// changed, when they do not fit; with reserve_full_prompt, when all its tokens do not fit.
  /// `watermark` blocks must stay free. REQUIRES: find_prefix(request) was the last call.
  bool admit(Request& request, int32_t num_new_tokens, int64_t watermark);

  /// Makes room for `num_tokens` tokens in all. False, with nothing changed, when too few are free.
  bool grow(Request& request, int32_t num_tokens) {
    return num_tokens <= std::ssize(request.blocks) * block_size_ || take(request, num_tokens);
  }

  /// Puts the null block in place of those that lie wholly outside of the sliding window for every
  /// token that is not computed yet, those of plans in flight included.
  void leave_window(Request& request);

  /// Lets others find the blocks that are full with the first `num_tokens` tokens.
  void cache_full_blocks(Request& request, int32_t num_tokens) {
    const int64_t next_full = (int64_t{request.num_hashed_blocks} + 1) * block_size_;
    if (enable_prefix_caching_ && num_tokens >= next_full) set_hashes(request, num_tokens);
  }

  /// Takes back what cache_full_blocks() did beyond the first `num_tokens` tokens.
  void uncache_after(Request& request, int32_t num_tokens);

  /// Frees all blocks, the last one first, so that heads of prefixes live longest.
  void release(Request& request);

  /// No prefix is found any more. REQUIRES: no request holds a block.
  void forget_prefixes() { pool_.forget_all(); }

  const BlockPool& pool() const { return pool_; }

 private:
  int32_t blocks_for(int32_t num_tokens) const {
    return (num_tokens + block_size_ - 1) / block_size_;
  }
  bool take(Request& request, int32_t num_tokens);
  void set_hashes(Request& request, int32_t num_tokens);
  std::span<const BlockHash> hashes(Request& request, size_t count, size_t most) const;
  void find_full_prefix(Request& request, size_t most);
  void find_window_prefix(Request& request, size_t most);

  BlockPool pool_;
  const int32_t block_size_;
  const int32_t sliding_window_;  // 0: none
  const bool enable_prefix_caching_;
  const bool reserve_full_prompt_;
  std::vector<BlockId> prefix_;  // the last find_prefix()
};

}  // namespace touchstone::scheduler
