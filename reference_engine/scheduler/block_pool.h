// The pool of KV blocks: who is free, who is referenced, whose content can still be hit.
// Source: vLLM 0.32 v1/core/block_pool.py, FreeKVCacheBlockQueue and BlockHashToBlockMap.
// A block is in exactly one of three states (INV-1): referenced (count > 0), free and cached (count
// 0, with a hash), free and blank (count 0, no hash). Thread-compatible; no allocation after
// construction.
//
// A pool is larger than a core's cache and its order is soon that of chance, so each call touches
// one block (half a cache line) and at most two cells of the index, and what the next calls will
// touch is asked for beforehand. The free list is an array for that: it says who comes next without
// a walk through the blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/huge_pages.h"
#include "reference_engine/scheduler/flat_index.h"
#include "reference_engine/scheduler/types.h"

namespace touchstone::scheduler {

class BlockPool final {
 public:
  /// So many blocks or hashes ahead prefetch() is worth its while: about what memory takes to
  /// answer.
  static constexpr size_t kAhead = 12;

  /// Block 0 is the null block and belongs to nobody. REQUIRES: num_blocks >= 2.
  explicit BlockPool(int64_t num_blocks);

  int64_t total() const { return static_cast<int64_t>(blocks_.size()) - 1; }
  int64_t free() const { return free_; }
  int64_t free_cached() const { return free_cached_; }

  /// The head of the free list, now with one reference. If its content was cached it is so no
  /// longer (eviction). REQUIRES: free() > 0.
  BlockId take();
  /// One more reference; a free block leaves the free list and keeps its hash.
  /// REQUIRES: it is referenced or has a hash.
  void touch(BlockId block);
  /// One reference less. A block without any goes to the free list: to its back with a hash
  /// (least recently used is evicted first), to its front without (nothing is lost by reuse).
  void release(BlockId block);

  /// Makes the content of a referenced block findable. Several blocks may carry one hash.
  void set_hash(BlockId block, const BlockHash& hash);
  /// Takes the hash of a referenced block away; nothing when it has none.
  void clear_hash(BlockId block);
  /// Takes the hash of every block away. REQUIRES: all are free.
  void forget_all();
  /// Brings what find() and set_hash() of `hash` look at into the cache.
  void prefetch(const BlockHash& hash) const { by_hash_.prefetch(hash.words[0]); }
  void prefetch(BlockId block) const { __builtin_prefetch(&at(block), 1); }
  /// The block that has carried `hash` longest.
  std::optional<BlockId> find(const BlockHash& hash) const;
  bool is_free(BlockId block) const { return at(block).references == 0; }
  int32_t references(BlockId block) const { return at(block).references; }

  /// Aborts the program unless counts, list and index agree (INV-1); O(blocks).
  void check_invariants() const;

 private:
  struct alignas(32) Block {
    BlockHash hash;
    int32_t references = 0;
    uint32_t place = 0;  // in the queue, while it is free and cached
    // The circle of blocks with one hash, by age; the index knows the oldest. kNullBlock: no hash.
    BlockId previous_same_hash = kNullBlock;
    BlockId next_same_hash = kNullBlock;
    bool hashed() const { return next_same_hash != kNullBlock; }
  };

  Block& at(BlockId block) { return blocks_[static_cast<size_t>(block)]; }
  const Block& at(BlockId block) const { return blocks_[static_cast<size_t>(block)]; }
  /// The place `steps` places after `place`.
  size_t after(size_t place, size_t steps) const { return (place + steps) & (queue_.size() - 1); }
  int32_t oldest(const BlockHash& hash) const;
  void enqueue(BlockId block);
  BlockId dequeue();
  void squeeze();
  void forget(BlockId block);

  std::vector<Block, HugePageAllocator<Block>> blocks_;
  // The free list: the blank ones that came back, the last of them first, then the queue. A ring
  // of twice the blocks or more, a power of two: one that is touched leaves a hole, the null block,
  // and when the ring is full at least half of it are holes.
  std::vector<BlockId> blank_;
  std::vector<BlockId, HugePageAllocator<BlockId>> queue_;
  size_t head_ = 0;    // place of the first
  size_t queued_ = 0;  // places from there on that are in use, holes included
  FlatIndex by_hash_;  // the oldest block of each hash
  int64_t free_ = 0;
  int64_t free_cached_ = 0;
};

}  // namespace touchstone::scheduler
