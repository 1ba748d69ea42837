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

KvMemoryInput memory() {
  return {.default_bytes = 4000,
          .default_percent = 25,
          .total_bytes = 40'000,
          .free_bytes = 20'100,
          .workspace_bytes = 100,
          .block_bytes = 10};
}

TEST(KvMemory, NobodyAskedGivesTheDefaultWithinTheDevice) {
  KvMemoryInput given = memory();
  EXPECT_EQ(*kv_memory(given), 4000);
  given.total_bytes = 8000;
  EXPECT_EQ(*kv_memory(given), 2000);
  given.default_percent = 100;
  EXPECT_EQ(*kv_memory(given), 4000);
  given.free_bytes = 600;
  EXPECT_EQ(*kv_memory(given), 500);
}

TEST(KvMemory, MoreThanIsFreeIsRefusedWhetherInBytesOrInBlocks) {
  KvMemoryInput given = memory();
  given.asked_bytes = 20'000;
  EXPECT_EQ(*kv_memory(given), 20'000);
  given.asked_bytes = 20'001;
  const auto refused = kv_memory(given);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message.find("free are"), std::string::npos);
  given = memory();
  given.num_blocks_override = 2000;
  EXPECT_TRUE(kv_memory(given));
  given.num_blocks_override = 2001;
  EXPECT_FALSE(kv_memory(given));
}

TEST(KvMemory, StepsThatDoNotFitAreRefusedWithAllFigures) {
  KvMemoryInput given = memory();
  given.workspace_bytes = 3 << 20;
  given.weight_bytes = 2 << 20;
  given.free_bytes = 3 << 20;
  given.total_bytes = 5 << 20;
  const auto refused = kv_memory(given);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(refused.error().message,
            "working memory: needs 3.00 MiB besides weights of 2.00 MiB, free are 3.00 MiB of "
            "5.00 MiB");
  given.free_bytes += 1;
  EXPECT_EQ(*kv_memory(given), 1);
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
