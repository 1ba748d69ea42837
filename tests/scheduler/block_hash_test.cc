#include "reference_engine/scheduler/block_hash.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

namespace touchstone::scheduler {
namespace {

std::vector<TokenId> iota(size_t n, TokenId first = 0) {
  std::vector<TokenId> tokens(n);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(BlockHash, OnlyFullBlocksHaveHashes) {
  EXPECT_TRUE(hash_blocks({}, {}, 4).empty());
  EXPECT_TRUE(hash_blocks({}, iota(3), 4).empty());
  EXPECT_EQ(hash_blocks({}, iota(4), 4).size(), 1u);
  EXPECT_EQ(hash_blocks({}, iota(11), 4).size(), 2u);
}

TEST(BlockHash, AHashNamesEverythingBeforeIt) {
  std::vector<TokenId> one = iota(12);
  std::vector<TokenId> other = one;
  other[1] = 99;
  const auto a = hash_blocks({}, one, 4);
  const auto b = hash_blocks({}, other, 4);
  for (size_t i = 0; i < 3; ++i) EXPECT_NE(a[i], b[i]) << i;
  other = one;
  other[9] = 99;
  const auto c = hash_blocks({}, other, 4);
  EXPECT_EQ(a[0], c[0]);
  EXPECT_EQ(a[1], c[1]);
  EXPECT_NE(a[2], c[2]);
}

TEST(BlockHash, SaltAndAdapterSeparateEqualTokens) {
  std::set<BlockHash> distinct;
  const ChainKeys rows[] = {{},
                            {.cache_salt = "a"},
                            {.adapter = "a"},
                            {.cache_salt = "aa"},
                            {.cache_salt = "a", .adapter = "a"},
                            {.cache_salt = "bc", .adapter = "a"},
                            {.cache_salt = "c", .adapter = "ab"}};
  for (const ChainKeys& keys : rows) distinct.insert(hash_blocks(keys, iota(4), 4)[0]);
  EXPECT_EQ(distinct.size(), std::size(rows));
}

// Made with Python's hashlib: sha256(parent + tokens as little-endian int32)[:16].
TEST(BlockHash, IsTheHeadOfSha256OverParentAndTokens) {
  const BlockHash parent{{0x0706050403020100u, 0x0f0e0d0c0b0a0908u}};
  ChainHasher hasher;
  const BlockHash expected{{0x99c5602201cde39du, 0x7a0952fcaed0217cu}};
  EXPECT_EQ(hasher.next(parent, std::vector<TokenId>{1, 2, 3, -4}), expected);
  EXPECT_EQ(hasher.next(parent, std::vector<TokenId>{1, 2, 3, -4}), expected) << "keeps no state";
}

TEST(BlockHash, SetPromptSplitsHashesAndTail) {
  NewRequest request;
  set_prompt(request, {.cache_salt = "salt"}, iota(11), 4);
  EXPECT_EQ(request.num_prompt_tokens, 11);
  EXPECT_EQ(request.block_hashes, hash_blocks({.cache_salt = "salt"}, iota(11), 4));
  EXPECT_EQ(request.unhashed_tail, iota(3, 8));
  EXPECT_EQ(request.chain_root, root_hash({.cache_salt = "salt"}));
}

RC_GTEST_PROP(BlockHash, DifferentBlocksHaveDifferentHashes, ()) {
  const auto a = *rc::gen::container<std::vector<TokenId>>(4, rc::gen::inRange(0, 3));
  const auto b = *rc::gen::container<std::vector<TokenId>>(4, rc::gen::inRange(0, 3));
  ChainHasher hasher;
  const BlockHash parent = hasher.root({});
  RC_ASSERT((hasher.next(parent, a) == hasher.next(parent, b)) == (a == b));
  RC_ASSERT(hasher.next(parent, a).words[0] != hasher.next(parent, a).words[1]);
}

RC_GTEST_PROP(BlockHash, NumbersGiveDifferentHashes, ()) {
  const auto far = *rc::gen::arbitrary<uint64_t>();
  std::map<BlockHash, std::tuple<uint64_t, uint64_t, uint64_t>> named;
  for (const uint64_t space : {1, 2}) {
    for (const uint64_t number : {uint64_t{0}, uint64_t{1}, far, far + 1}) {
      std::vector<BlockHash> hashes(8);
      numbered_hashes(space, number, 5, hashes);
      for (size_t i = 0; i < hashes.size(); ++i) {
        const std::tuple name(space, number, 5 + i);
        RC_ASSERT(named.emplace(hashes[i], name).first->second == name);
      }
    }
  }
}

TEST(BlockHash, NumbersGiveTheSameHashesWhereverARunBegins) {
  std::vector<BlockHash> whole(8);
  numbered_hashes(1, 7, 0, whole);
  std::vector<BlockHash> rest(5);
  numbered_hashes(1, 7, 3, rest);
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), whole.begin() + 3));
}

}  // namespace
}  // namespace touchstone::scheduler
