// The pool of KV blocks: who is free, who is referenced, whose content can still be hit.
// Source: vLLM 0.32 v1/core/block_pool.py, FreeKVCacheBlockQueue and BlockHashToBlockMap.
// A block is in exactly one of three states (INV-1): referenced (count > 0), free and cached (count
// 0, with a hash), free and blank (count 0, no hash). Thread-compatible; no allocation after
// construction.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "reference_engine/scheduler/flat_index.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

class BlockPool final {
 public:
  /// Block 0 is the null block and belongs to nobody. REQUIRES: num_blocks >= 2.
  explicit BlockPool(int64_t num_blocks);

  int64_t total() const { return static_cast<int64_t>(blocks_.size()) - 1; }
  int64_t free() const { return free_; }
  int64_t free_cached() const { return free_cached_; }

  /// The head of the free list, now with one reference. If its content was cached it is so no
  /// longer (eviction). REQUIRES: free() > 0.
  BlockId take();
  /// One more reference; a free block leaves the free list and keeps its hash.
  void touch(BlockId block);
  /// One reference less. A block without any goes to the free list: to its back with a hash
  /// (least recently used is evicted first), to its front without (nothing is lost by reuse).
  void release(BlockId block);

  /// Makes the content of a referenced block findable. Several blocks may carry one hash.
  void set_hash(BlockId block, const BlockHash& hash);
  /// Takes the hash of a referenced block away; nothing when it has none.
  void clear_hash(BlockId block);
  /// Brings what find(), set_hash() and eviction of `hash` look at into the cache.
  void prefetch(const BlockHash& hash) const { by_hash_.prefetch(hash.words[0]); }
  void prefetch(BlockId block) const { __builtin_prefetch(&at(block)); }
  /// The block that has carried `hash` longest.
  std::optional<BlockId> find(const BlockHash& hash) const;
  bool is_free(BlockId block) const { return at(block).references == 0; }
  bool has_hash(BlockId block) const { return at(block).hashed; }
  int32_t references(BlockId block) const { return at(block).references; }

  /// Aborts the program unless counts, list and index agree (INV-1); O(blocks).
  void check_invariants() const;

 private:
  struct Block {
    BlockHash hash;
    BlockId previous = kNullBlock;  // in the free list; kNullBlock: the list's end
    BlockId next = kNullBlock;
    // The circle of blocks with one hash, by age; the index knows the oldest.
    BlockId previous_same_hash = kNullBlock;
    BlockId next_same_hash = kNullBlock;
    int32_t references = 0;
    bool hashed = false;
  };

  Block& at(BlockId block) { return blocks_[static_cast<size_t>(block)]; }
  const Block& at(BlockId block) const { return blocks_[static_cast<size_t>(block)]; }
  uint64_t key(int32_t block) const { return at(block).hash.words[0]; }
  int32_t oldest(const BlockHash& hash) const;
  void link_front(BlockId block);
  void link_back(BlockId block);
  void unlink(BlockId block);
  void forget(BlockId block);

  // blocks_[0], the null block, is the sentinel of the circular free list.
  std::vector<Block> blocks_;
  FlatIndex by_hash_;  // the oldest block of each hash
  int64_t free_ = 0;
  int64_t free_cached_ = 0;
};

}  // namespace touchstone::scheduler
