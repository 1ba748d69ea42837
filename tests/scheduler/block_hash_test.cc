#include "reference_engine/scheduler/block_hash.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <set>

namespace touchstone::scheduler {
namespace {

std::vector<TokenId> iota(size_t n, TokenId first = 0) {
  std::vector<TokenId> tokens(n);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(BlockHash, OnlyFullBlocksHaveHashes) {
  EXPECT_TRUE(hash_blocks("", {}, 4).empty());
  EXPECT_TRUE(hash_blocks("", iota(3), 4).empty());
  EXPECT_EQ(hash_blocks("", iota(4), 4).size(), 1u);
  EXPECT_EQ(hash_blocks("", iota(11), 4).size(), 2u);
}

TEST(BlockHash, AHashNamesEverythingBeforeIt) {
  std::vector<TokenId> one = iota(12);
  std::vector<TokenId> other = one;
  other[1] = 99;
  const auto a = hash_blocks("", one, 4);
  const auto b = hash_blocks("", other, 4);
  for (size_t i = 0; i < 3; ++i) EXPECT_NE(a[i], b[i]) << i;
  other = one;
  other[9] = 99;
  const auto c = hash_blocks("", other, 4);
  EXPECT_EQ(a[0], c[0]);
  EXPECT_EQ(a[1], c[1]);
  EXPECT_NE(a[2], c[2]);
}

TEST(BlockHash, ExtraKeysSeparateEqualTokens) {
  std::set<BlockHash> distinct;
  for (const char* extra : {"", "lora-a", "lora-b", "a", "aa"}) {
    distinct.insert(hash_blocks(extra, iota(4), 4)[0]);
  }
  EXPECT_EQ(distinct.size(), 5u);
}

TEST(BlockHash, SetPromptSplitsHashesAndTail) {
  NewRequest request;
  set_prompt(request, "salt", iota(11), 4);
  EXPECT_EQ(request.num_prompt_tokens, 11);
  EXPECT_EQ(request.block_hashes, hash_blocks("salt", iota(11), 4));
  EXPECT_EQ(request.unhashed_tail, iota(3, 8));
  EXPECT_EQ(request.chain_root, root_hash("salt"));
}

RC_GTEST_PROP(BlockHash, DifferentBlocksHaveDifferentHashes, ()) {
  const auto a = *rc::gen::container<std::vector<TokenId>>(4, rc::gen::inRange(0, 3));
  const auto b = *rc::gen::container<std::vector<TokenId>>(4, rc::gen::inRange(0, 3));
  const BlockHash parent = root_hash("");
  RC_ASSERT((chain_hash(parent, a) == chain_hash(parent, b)) == (a == b));
  RC_ASSERT(chain_hash(parent, a).words[0] != chain_hash(parent, a).words[1]);
}

}  // namespace
}  // namespace touchstone::scheduler
