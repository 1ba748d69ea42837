#include "reference_engine/scheduler/block_pool.h"

#include "base/check.h"

namespace touchstone::scheduler {

BlockPool::BlockPool(int64_t num_blocks) {
  BASE_CHECK(num_blocks >= 2 && num_blocks <= INT32_MAX, num_blocks);
  blocks_.resize(static_cast<size_t>(num_blocks));
  by_hash_.reserve(blocks_.size());
  for (BlockId block = 1; block < static_cast<BlockId>(num_blocks); ++block) link_back(block);
  free_ = total();
}

BlockId BlockPool::take() {
  BASE_CHECK(free_ > 0, "no block is free");
  const BlockId block = at(kNullBlock).next;
  Block& taken = at(block);
  BASE_CHECK(taken.references == 0, "INV-2: block ", block, " is referenced");
  unlink(block);
  --free_;
  // The next one to be taken is in the cache already; what its eviction needs is not.
  const Block& next = at(at(kNullBlock).next);
  prefetch(next.hash);
  prefetch(next.next);
  if (taken.hashed) {
    --free_cached_;
    forget(block);
  }
  taken.references = 1;
  return block;
}

void BlockPool::touch(BlockId block) {
  Block& touched = at(block);
  if (touched.references++ == 0) {
    unlink(block);
    --free_;
    if (touched.hashed) --free_cached_;
  }
}

void BlockPool::release(BlockId block) {
  Block& released = at(block);
  BASE_CHECK(released.references > 0, "block ", block, " is free already");
  if (--released.references > 0) return;
  ++free_;
  if (released.hashed) {
    ++free_cached_;
    link_back(block);
  } else {
    link_front(block);
  }
}

void BlockPool::set_hash(BlockId block, const BlockHash& hash) {
  Block& full = at(block);
  BASE_CHECK(full.references > 0 && !full.hashed, "block ", block);
  full.hash = hash;
  full.hashed = true;
  const int32_t first = oldest(hash);
  if (first == FlatIndex::kNone) {
    full.previous_same_hash = full.next_same_hash = block;
    by_hash_.insert(block, key(block));
    return;
  }
  const BlockId last = at(first).previous_same_hash;
  full.previous_same_hash = last;
  full.next_same_hash = first;
  at(last).next_same_hash = block;
  at(first).previous_same_hash = block;
}

void BlockPool::clear_hash(BlockId block) {
  BASE_CHECK(at(block).references > 0, "block ", block, " is free");
  if (at(block).hashed) forget(block);
}

std::optional<BlockId> BlockPool::find(const BlockHash& hash) const {
  const int32_t block = oldest(hash);
  if (block == FlatIndex::kNone) return std::nullopt;
  return block;
}

int32_t BlockPool::oldest(const BlockHash& hash) const {
  return by_hash_.find(hash.words[0], [&](int32_t b) { return at(b).hash == hash; });
}

/// Takes `block` out of the index and out of the circle of blocks with its hash.
void BlockPool::forget(BlockId block) {
  Block& forgotten = at(block);
  const BlockId next = forgotten.next_same_hash;
  if (next == block) {
    by_hash_.erase(block, key(block));
  } else {
    if (oldest(forgotten.hash) == block) by_hash_.replace(block, next, key(block));
    at(next).previous_same_hash = forgotten.previous_same_hash;
    at(forgotten.previous_same_hash).next_same_hash = next;
  }
  forgotten.hashed = false;
}

void BlockPool::link_front(BlockId block) {
  const BlockId head = at(kNullBlock).next;
  at(block).previous = kNullBlock;
  at(block).next = head;
  at(head).previous = block;
  at(kNullBlock).next = block;
}

void BlockPool::link_back(BlockId block) {
  const BlockId tail = at(kNullBlock).previous;
  at(block).previous = tail;
  at(block).next = kNullBlock;
  at(tail).next = block;
  at(kNullBlock).previous = block;
}

void BlockPool::unlink(BlockId block) {
  Block& gone = at(block);
  at(gone.previous).next = gone.next;
  at(gone.next).previous = gone.previous;
}

void BlockPool::check_invariants() const {
  int64_t listed = 0;
  int64_t listed_cached = 0;
  BlockId previous = kNullBlock;
  for (BlockId b = at(kNullBlock).next; b != kNullBlock; b = at(b).next) {
    BASE_CHECK(at(b).references == 0, "INV-2: block ", b, " is free and referenced");
    BASE_CHECK(at(b).previous == previous, "INV-1: free list broken at block ", b);
    previous = b;
    ++listed;
    listed_cached += at(b).hashed ? 1 : 0;
    BASE_CHECK(listed <= total(), "INV-1: the free list has a circle");
  }
  int64_t referenced = 0;
  size_t oldest_ones = 0;
  for (BlockId b = 1; b < static_cast<BlockId>(blocks_.size()); ++b) {
    referenced += at(b).references > 0 ? 1 : 0;
    if (!at(b).hashed) continue;
    const int32_t first = oldest(at(b).hash);
    BASE_CHECK(first != FlatIndex::kNone, "INV-3: block ", b, " cannot be found by its hash");
    oldest_ones += first == b ? 1 : 0;
  }
  BASE_CHECK(listed == free_ && listed_cached == free_cached_, "INV-1: counted ", listed, "/",
             listed_cached, ", kept ", free_, "/", free_cached_);
  BASE_CHECK(listed + referenced == total(), "INV-1: ", listed, " free + ", referenced,
             " referenced of ", total());
  BASE_CHECK(oldest_ones == by_hash_.size(), "INV-3: ", oldest_ones, " hashes, index has ",
             by_hash_.size());
  BASE_CHECK(at(kNullBlock).references == 0 && !at(kNullBlock).hashed, "the null block is used");
}

}  // namespace touchstone::scheduler
