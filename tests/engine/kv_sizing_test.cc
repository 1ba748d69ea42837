#include "reference_engine/engine/kv_sizing.h"

#include <gtest/gtest.h>

namespace touchstone::engine {
namespace {

KvSizingInput input() {
  return {.block_bytes = 1000,
          .block_size = 16,
          .memory_bytes = 100'999,
          .num_blocks_override = std::nullopt,
          .model_max_len = 512,
          .max_model_len = std::nullopt};
}

TEST(KvSizing, MemoryDecidesTheBlocksUnlessTheyAreGiven) {
  KvSizingInput by_memory = input();
  EXPECT_EQ(size_kv(by_memory)->num_blocks, 100);
  EXPECT_EQ(size_kv(by_memory)->max_model_len, 512);
  by_memory.num_blocks_override = 33;
  EXPECT_EQ(size_kv(by_memory)->num_blocks, 33);
}

TEST(KvSizing, OneRequestMustFitBesidesTheNullBlock) {
  KvSizingInput given = input();
  given.num_blocks_override = 33;  // 32 * 16 = 512
  EXPECT_TRUE(size_kv(given));
  given.num_blocks_override = 32;
  const auto refused = size_kv(given);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("the largest --max-model-len that fits is 496"),
            std::string::npos)
      << refused.error().message;
  given.max_model_len = 496;
  EXPECT_EQ(size_kv(given)->max_model_len, 496);
  given.max_model_len = 497;
  EXPECT_FALSE(size_kv(given));
}

TEST(KvSizing, AutoTakesTheLargestThatFits) {
  KvSizingInput given = input();
  given.max_model_len = -1;
  EXPECT_EQ(size_kv(given)->max_model_len, 512);
  given.num_blocks_override = 11;
  EXPECT_EQ(size_kv(given)->max_model_len, 160);
  given.num_blocks_override = 1;
  EXPECT_FALSE(size_kv(given));
}

TEST(KvSizing, NothingIsLongerThanTheModelAllows) {
  KvSizingInput given = input();
  given.max_model_len = 513;
  EXPECT_FALSE(size_kv(given));
}

}  // namespace
}  // namespace touchstone::engine
