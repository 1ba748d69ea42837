#include "reference_engine/scheduler/block_pool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "reference_engine/scheduler/flat_index.h"

namespace touchstone::scheduler {
namespace {

BlockHash hash(uint64_t n) { return {{n, n + 1}}; }

TEST(BlockPool, HandsOutBlocksInOrderAndNeverTheNullBlock) {
  BlockPool pool(4);
  EXPECT_EQ(pool.total(), 3);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.take(), 2);
  EXPECT_EQ(pool.take(), 3);
  EXPECT_EQ(pool.free(), 0);
}

TEST(BlockPool, FreedBlocksWithoutHashGoToTheFrontOthersToTheBack) {
  BlockPool pool(5);
  for (int i = 0; i < 3; ++i) pool.take();  // 4 stays free
  pool.set_hash(1, hash(10));
  pool.release(1);
  pool.release(2);
  EXPECT_EQ(pool.free_cached(), 1);
  EXPECT_EQ(pool.take(), 2) << "blank: reused first";
  EXPECT_EQ(pool.take(), 4);
  EXPECT_TRUE(pool.find(hash(10)));
  EXPECT_EQ(pool.take(), 1) << "cached: evicted last";
  EXPECT_FALSE(pool.find(hash(10)));
  pool.check_invariants();
}

TEST(BlockPool, TheOldestOfEqualBlocksIsFoundUntilItIsEvicted) {
  BlockPool pool(4);
  for (int i = 0; i < 3; ++i) pool.take();
  for (const BlockId block : {2, 1, 3}) pool.set_hash(block, hash(7));
  EXPECT_EQ(pool.find(hash(7)), 2);
  pool.clear_hash(2);
  EXPECT_EQ(pool.find(hash(7)), 1);
  pool.release(3);
  EXPECT_EQ(pool.take(), 3);
  pool.check_invariants();
  pool.clear_hash(1);
  EXPECT_FALSE(pool.find(hash(7)));
  pool.check_invariants();
}

TEST(BlockPool, ATouchedBlockIsNotHandedOut) {
  BlockPool pool(3);
  const BlockId block = pool.take();
  pool.set_hash(block, hash(1));
  pool.release(block);
  pool.touch(block);
  EXPECT_EQ(pool.take(), 2);
  EXPECT_EQ(pool.free(), 0);
  pool.release(block);
  EXPECT_EQ(pool.free_cached(), 1);
}

TEST(BlockPoolDeathTest, BugsEndTheProgram) {
  BlockPool pool(2);
  EXPECT_DEATH(pool.release(1), "free already");
  EXPECT_DEATH(pool.touch(1), "is blank");
  pool.take();
  EXPECT_DEATH(pool.take(), "no block is free");
}

/// The index against std::map, with hashes that collide a lot, in few buckets that overflow.
RC_GTEST_PROP(FlatIndex, AgreesWithAMap, ()) {
  FlatIndex index;
  std::map<int32_t, uint64_t> model;
  const auto hashes = *rc::gen::container<std::vector<uint64_t>>(5, rc::gen::arbitrary<uint64_t>());
  const auto hash_of = [&](int32_t v) { return hashes[static_cast<size_t>(v % 5)]; };
  const auto find = [&](int32_t v) {
    return index.find(hash_of(v), [v](int32_t w) { return w == v; });
  };
  const auto steps = *rc::gen::container<std::vector<int>>(200, rc::gen::inRange(0, 40));
  for (const int value : steps) {
    if (model.erase(value) > 0) {
      index.erase(value, hash_of(value));
    } else {
      model[value] = hash_of(value);
      index.insert(value, hash_of(value), hash_of);
    }
    RC_ASSERT(index.size() == model.size());
    for (int32_t v = 0; v < 40; ++v) RC_ASSERT(find(v) == (model.contains(v) ? v : -1));
  }
  index.reserve(index.size() + 1, hash_of);  // as find_or_insert() requires
  for (const auto& [value, hash] : model) {
    index.replace(value, value + 100, hash);
    RC_ASSERT(find(value) == FlatIndex::kNone);
    const auto same = [v = value + 100](int32_t w) { return w == v; };
    RC_ASSERT(index.find_or_insert(value, hash, same) == value + 100);
    RC_ASSERT(index.size() == model.size());
  }
}

/// Each bucket was full once and an entry that went past it is still there: a lookup that trusted
/// their counts alone would go round for ever.
TEST(FlatIndex, EndsALookupThatEveryBucketPassesOn) {
  FlatIndex index;
  constexpr int32_t kBuckets = 4;
  const auto hash_of = [](int32_t v) { return static_cast<uint64_t>(v % kBuckets) << 62; };
  index.reserve(6 * (kBuckets - 2), hash_of);
  ASSERT_EQ(index.capacity(), 6 * kBuckets);
  int32_t next = 0;
  std::vector<int32_t> kept;
  for (int32_t bucket = 0; bucket < kBuckets; ++bucket) {
    std::vector<int32_t> here;
    for (; here.size() < 13; next += kBuckets) {  // one more than a bucket has places
      index.insert(bucket + next, hash_of(bucket + next), hash_of);
      here.push_back(bucket + next);
    }
    kept.push_back(here.back());
    here.pop_back();
    for (const int32_t value : here) index.erase(value, hash_of(value));
  }
  ASSERT_EQ(index.capacity(), 6 * kBuckets);
  for (const int32_t value : kept) {
    EXPECT_EQ(index.find(hash_of(value), [&](int32_t w) { return w == value; }), value);
  }
  EXPECT_EQ(index.find(0, [](int32_t) { return false; }), FlatIndex::kNone);
}

/// The pool against lists that are searched from end to end (INV-1, INV-2, INV-3).
RC_GTEST_PROP(BlockPool, AgreesWithANaiveModel, ()) {
  const int64_t num_blocks = *rc::gen::inRange(2, 12);
  BlockPool pool(num_blocks);
  std::deque<BlockId> free_list;
  for (BlockId b = 1; b < num_blocks; ++b) free_list.push_back(b);
  std::map<BlockId, int> references;
  std::vector<std::pair<BlockId, uint64_t>> hashed;  // by age
  const auto hash_of = [&](BlockId b) {
    return std::find_if(hashed.begin(), hashed.end(), [b](auto& h) { return h.first == b; });
  };
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 5), rc::gen::inRange(0, 64)));
  for (const auto& [action, pick] : steps) {
    const BlockId block = static_cast<BlockId>(1 + pick % (num_blocks - 1));
    if (action == 0 && !free_list.empty()) {
      const BlockId expected = free_list.front();
      free_list.pop_front();
      if (const auto h = hash_of(expected); h != hashed.end()) hashed.erase(h);
      RC_ASSERT(pool.take() == expected);
      references[expected] = 1;
    } else if (action == 1 && (references[block] > 0 || hash_of(block) != hashed.end())) {
      if (references[block]++ == 0) {
        free_list.erase(std::find(free_list.begin(), free_list.end(), block));
      }
      pool.touch(block);
    } else if (action == 2 && references[block] > 0) {
      pool.release(block);
      if (--references[block] == 0) {
        hash_of(block) == hashed.end() ? free_list.push_front(block) : free_list.push_back(block);
      }
    } else if (action == 3 && references[block] > 0 && hash_of(block) == hashed.end()) {
      const uint64_t content = static_cast<uint64_t>(pick) % 3;
      pool.set_hash(block, hash(content));
      hashed.emplace_back(block, content);
    } else if (action == 4 && references[block] > 0) {
      pool.clear_hash(block);
      if (const auto h = hash_of(block); h != hashed.end()) hashed.erase(h);
    }
    pool.check_invariants();
    RC_ASSERT(pool.free() == static_cast<int64_t>(free_list.size()));
    for (uint64_t content = 0; content < 3; ++content) {
      const auto oldest =
          std::find_if(hashed.begin(), hashed.end(), [&](auto& h) { return h.second == content; });
      const auto expected =
          oldest == hashed.end() ? std::nullopt : std::optional<BlockId>(oldest->first);
      RC_ASSERT(pool.find(hash(content)) == expected);
    }
  }
}

}  // namespace
}  // namespace touchstone::scheduler
