#include "reference_engine/scheduler/block_pool.h"

#include <bit>
#include <numeric>

#include "base/check.h"

namespace touchstone::scheduler {

BlockPool::BlockPool(int64_t num_blocks) {
  BASE_CHECK(num_blocks >= 2 && num_blocks <= INT32_MAX, num_blocks);
  blocks_.resize(static_cast<size_t>(num_blocks));
  by_hash_.reserve(blocks_.size(), [this](BlockId b) { return at(b).hash.words[0]; });
  free_ = total();
  blank_.reserve(blocks_.size());
  queue_.resize(std::bit_ceil(2 * blocks_.size() + 2 * kAhead), kNullBlock);
  queued_ = static_cast<size_t>(free_);
  std::iota(queue_.begin(), queue_.begin() + free_, 1);
}

BlockId BlockPool::take() {
  BASE_CHECK(free_ > 0, "no block is free");
  --free_;
  if (!blank_.empty()) {
    const BlockId block = blank_.back();
    blank_.pop_back();
    at(block).references = 1;
    return block;
  }
  const BlockId block = dequeue();
  // First the blocks that are next, then, when those are there, what their eviction needs.
  prefetch(queue_[after(head_, 2 * kAhead)]);
  by_hash_.prefetch(at(queue_[after(head_, kAhead)]).hash.words[0]);
  Block& taken = at(block);
  BASE_CHECK(taken.references == 0, "INV-2: block ", block, " is referenced");
  if (taken.hashed()) {
    --free_cached_;
    forget(block);
  }
  taken.references = 1;
  return block;
}

void BlockPool::touch(BlockId block) {
  Block& touched = at(block);
  if (touched.references++ > 0) return;
  BASE_CHECK(touched.hashed() && queue_[touched.place] == block, "block ", block, " is blank");
  queue_[touched.place] = kNullBlock;
  --free_;
  --free_cached_;
}

void BlockPool::release(BlockId block) {
  Block& released = at(block);
  BASE_CHECK(released.references > 0, "block ", block, " is free already");
  if (--released.references > 0) return;
  ++free_;
  if (released.hashed()) {
    ++free_cached_;
    enqueue(block);
  } else {
    blank_.push_back(block);
  }
}

void BlockPool::set_hash(BlockId block, const BlockHash& hash) {
  Block& full = at(block);
  BASE_CHECK(full.references > 0 && !full.hashed(), "block ", block);
  full.hash = hash;
  const int32_t first =
      by_hash_.find_or_insert(block, hash.words[0], [&](int32_t b) { return at(b).hash == hash; });
  if (first == FlatIndex::kNone) {
    full.previous_same_hash = full.next_same_hash = block;
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
  if (at(block).hashed()) forget(block);
}

/// They keep their places in the queue.
void BlockPool::forget_all() {
  BASE_CHECK(free_ == total(), total() - free_, " blocks are referenced");
  for (const Block& block : blocks_) {
    if (block.hashed()) forget(static_cast<BlockId>(&block - blocks_.data()));
  }
  free_cached_ = 0;
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
  const uint64_t key = forgotten.hash.words[0];
  const BlockId next = forgotten.next_same_hash;
  forgotten.next_same_hash = kNullBlock;
  if (next == block) {
    by_hash_.erase(block, key);
    return;
  }
  at(next).previous_same_hash = forgotten.previous_same_hash;
  at(forgotten.previous_same_hash).next_same_hash = next;
  if (oldest(forgotten.hash) == block) by_hash_.replace(block, next, key);
}

void BlockPool::enqueue(BlockId block) {
  if (queued_ == queue_.size()) squeeze();
  const size_t place = after(head_, queued_++);
  queue_[place] = block;
  at(block).place = static_cast<uint32_t>(place);
}

/// REQUIRES: a free block is in the queue.
BlockId BlockPool::dequeue() {
  BlockId block = kNullBlock;
  while (block == kNullBlock) {
    block = queue_[head_];
    head_ = after(head_, 1);
    --queued_;
  }
  return block;
}

/// Closes the holes.
void BlockPool::squeeze() {
  size_t kept = 0;
  for (size_t i = 0; i < queued_; ++i) {
    const BlockId block = queue_[after(head_, i)];
    if (block == kNullBlock) continue;
    const size_t place = after(head_, kept++);
    queue_[place] = block;
    at(block).place = static_cast<uint32_t>(place);
  }
  queued_ = kept;
}

void BlockPool::check_invariants() const {
  std::vector<BlockId> listed = blank_;
  for (const BlockId b : blank_) BASE_CHECK(!at(b).hashed(), "INV-1: block ", b, " is not blank");
  for (size_t i = 0; i < queued_; ++i) {
    const size_t place = after(head_, i);
    const BlockId b = queue_[place];
    if (b == kNullBlock) continue;
    BASE_CHECK(!at(b).hashed() || at(b).place == place, "INV-1: block ", b, " is elsewhere");
    listed.push_back(b);
  }
  int64_t listed_cached = 0;
  std::vector<bool> is_listed(blocks_.size());
  for (const BlockId b : listed) {
    BASE_CHECK(at(b).references == 0, "INV-2: block ", b, " is free and referenced");
    BASE_CHECK(!is_listed[static_cast<size_t>(b)], "INV-1: block ", b, " is free twice");
    is_listed[static_cast<size_t>(b)] = true;
    listed_cached += at(b).hashed() ? 1 : 0;
  }
  int64_t referenced = 0;
  size_t oldest_ones = 0;
  for (BlockId b = 1; b < static_cast<BlockId>(blocks_.size()); ++b) {
    referenced += at(b).references > 0 ? 1 : 0;
    if (!at(b).hashed()) continue;
    const int32_t first = oldest(at(b).hash);
    BASE_CHECK(first != FlatIndex::kNone, "INV-3: block ", b, " cannot be found by its hash");
    oldest_ones += first == b ? 1 : 0;
  }
  BASE_CHECK(std::ssize(listed) == free_ && listed_cached == free_cached_, "INV-1: counted ",
             listed.size(), "/", listed_cached, ", kept ", free_, "/", free_cached_);
  BASE_CHECK(free_ + referenced == total(), "INV-1: ", free_, " free + ", referenced,
             " referenced of ", total());
  BASE_CHECK(oldest_ones == by_hash_.size(), "INV-3: ", oldest_ones, " hashes, index has ",
             by_hash_.size());
  BASE_CHECK(at(kNullBlock).references == 0 && !at(kNullBlock).hashed(), "the null block is used");
}

}  // namespace touchstone::scheduler
