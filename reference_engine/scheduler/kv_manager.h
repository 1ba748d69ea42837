// Gives requests their blocks and finds prefixes that are cached already.
// Source: vLLM 0.32 v1/core/kv_cache_manager.py (get_computed_blocks, allocate_slots, free).
// Thread-compatible; allocates only while block tables still grow.
#pragma once

#include <cstdint>
#include <vector>

#include "reference_engine/scheduler/block_pool.h"
#include "reference_engine/scheduler/request.h"

namespace touchstone::scheduler {

class KvManager final {
 public:
  explicit KvManager(const Config& config);

  /// Finds the longest cached prefix of `request`, at most num_tokens - 1 tokens, so that at least
  /// one token is computed. Result: its tokens, a multiple of the block size. The blocks are
  /// remembered for the admit() that follows.
  int32_t find_prefix(const Request& request);

  /// Takes the found prefix and new blocks for `num_new_tokens` after it. False, with nothing
  /// changed, when they do not fit; with reserve_full_prompt, when all its tokens do not fit.
  /// `watermark` blocks must stay free. REQUIRES: find_prefix(request) was the last call.
  bool admit(Request& request, int32_t num_new_tokens, int64_t watermark);

  /// Makes room for `num_tokens` tokens in all. False, with nothing changed, when too few are free.
  bool grow(Request& request, int32_t num_tokens);

  /// Lets others find the blocks that are full with the first `num_tokens` tokens.
  void cache_full_blocks(Request& request, int32_t num_tokens);

  /// Takes back what cache_full_blocks() did beyond the first `num_tokens` tokens.
  void uncache_after(Request& request, int32_t num_tokens);

  /// Frees all blocks, the last one first, so that heads of prefixes live longest.
  void release(Request& request);

  const BlockPool& pool() const { return pool_; }

 private:
  int32_t blocks_for(int32_t num_tokens) const {
    return (num_tokens + block_size_ - 1) / block_size_;
  }

  BlockPool pool_;
  const int32_t block_size_;
  const bool enable_prefix_caching_;
  const bool reserve_full_prompt_;
  std::vector<BlockId> prefix_;  // the last find_prefix()
};

}  // namespace touchstone::scheduler
