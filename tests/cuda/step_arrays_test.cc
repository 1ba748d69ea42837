// How a plan becomes arrays.
#include "reference_engine/backend/cuda/step_arrays.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reference_engine/backend/cuda/sampling_arrays.h"

namespace touchstone::backend::cuda {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<int32_t> kOne = {7};
const std::vector<int32_t> kInFlight = {kTokenInFlight};
const std::vector<int32_t> kThree = {11, 12, 13};
const std::vector<BlockId> kBlocks = {5, 3};

Entry decode_entry(RequestId id, int32_t position, const std::vector<int32_t>& tokens = kOne) {
  return {.request_id = id,
          .tokens = tokens,
          .first_position = position,
          .block_table = kBlocks,
          .sample = true};
}

TEST(StepArrays, EntriesOfOneTokenComeFirst) {
  const std::vector<Entry> entries = {
      {.request_id = 1, .tokens = kThree, .first_position = 14, .block_table = kBlocks},
      decode_entry(2, 17, kInFlight)};
  const std::vector<int32_t> slots = {4, 6};
  StepArrays arrays;
  lay_out_step({entries}, slots, 16, std::nullopt, arrays);
  EXPECT_EQ(arrays.rows, 4);
  EXPECT_THAT(arrays.tokens, ElementsAre(-1 - 6, 11, 12, 13));
  EXPECT_THAT(arrays.positions, ElementsAre(17, 14, 15, 16));
  EXPECT_THAT(arrays.slots, ElementsAre(3 * 16 + 1, 5 * 16 + 14, 5 * 16 + 15, 3 * 16));
  EXPECT_EQ(arrays.single.sequences, 1);
  EXPECT_THAT(arrays.single.row_starts, ElementsAre(0, 1));
  EXPECT_THAT(arrays.single.lengths, ElementsAre(18));
  EXPECT_THAT(arrays.single.block_tables, ElementsAre(5, 3));
  EXPECT_EQ(arrays.several.max_rows, 3);
  EXPECT_THAT(arrays.several.row_starts, ElementsAre(1, 4));
  EXPECT_THAT(arrays.several.lengths, ElementsAre(17));
  ASSERT_EQ(arrays.wanted.size(), 1U) << "the other samples nothing";
  EXPECT_EQ(arrays.wanted[0].entry, 1U);
  EXPECT_EQ(arrays.wanted[0].row, 0);
}

TEST(StepArrays, AShapeIsFilledUpWithRowsThatAreStoredNowhere) {
  const std::vector<Entry> entries = {decode_entry(1, 3), decode_entry(2, 9), decode_entry(3, 1)};
  const auto shape = decode_shape({entries}, 16, 100);
  ASSERT_TRUE(shape);
  EXPECT_EQ(*shape, (DecodeShape{.rows = 4, .max_length = 100})) << "at most what any plan has";
  StepArrays arrays;
  lay_out_step({entries}, std::vector<int32_t>{0, 1, 2}, 16, shape, arrays);
  EXPECT_EQ(arrays.rows, 4);
  EXPECT_EQ(arrays.slots.back(), -1);
  EXPECT_EQ(arrays.single.sequences, 4);
  EXPECT_THAT(arrays.single.row_starts, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(arrays.single.lengths, ElementsAre(4, 10, 2, 0));
  EXPECT_EQ(arrays.single.max_length, 100);
  EXPECT_EQ(arrays.single.table_stride, 7);
  EXPECT_EQ(arrays.single.block_tables.size(), 4U * 7);
  EXPECT_THAT(arrays.several.lengths, IsEmpty());
}

TEST(StepArrays, ShapesAreFewAndLargeEnough) {
  const auto rows_of = [](size_t count) {
    const std::vector<Entry> entries(count, decode_entry(1, 300));
    const auto shape = decode_shape({entries}, 256, 8192);
    return shape ? shape->rows : -1;
  };
  EXPECT_EQ(rows_of(1), 1);
  EXPECT_EQ(rows_of(3), 4);
  EXPECT_EQ(rows_of(9), 16);
  EXPECT_EQ(rows_of(33), 48);
  EXPECT_EQ(rows_of(256), 256);
  EXPECT_EQ(rows_of(257), -1) << "more than any graph has";
  const std::vector<Entry> entries = {decode_entry(1, 300)};
  EXPECT_EQ(decode_shape({entries}, 256, 8192)->max_length, 512);
  std::vector<Entry> prefill = {decode_entry(1, 0, kThree)};
  EXPECT_FALSE(decode_shape({prefill}, 256, 8192));
  std::vector<Entry> silent = {decode_entry(1, 4)};
  silent[0].sample = false;
  EXPECT_FALSE(decode_shape({silent}, 256, 8192));
}

TEST(SamplingArrays, RowsAreGroupedAndKnowTheirPlaceInTheOutputs) {
  std::vector<Entry> entries = {{.request_id = 1,
                                 .tokens = kThree,
                                 .first_position = 0,
                                 .block_table = kBlocks,
                                 .num_prompt_rows = 3,
                                 .prompt_logprobs = 1},
                                decode_entry(2, 5)};
  entries[1].logprobs = 4;
  RequestState prompt{.prompt = {11, 12, 13, 14}};
  prompt.slot = 0;
  RequestState decode{.prompt = {1}, .output = {2, 3}, .sampled = 3};
  decode.slot = 1;
  decode.params.min_tokens = 4;
  decode.params.masked_before_min_tokens = {9};
  decode.params.bad_words = {{1, 2}, {3}};
  decode.params.logit_bias = {{8, 0.5F}};
  StepArrays step;
  lay_out_step({entries}, std::vector<int32_t>{0, 1}, 16, std::nullopt, step);
  SamplingArrays arrays;
  const std::vector<RequestState*> requests = {&prompt, &decode};
  lay_out_sampling({entries}, step, requests, 100, {.rows = 2, .elements = 200}, arrays);
  ASSERT_EQ(arrays.groups.size(), 2U) << "two rows at a time";
  EXPECT_THAT(arrays.groups[0].rows, ElementsAre(0, 1));
  EXPECT_THAT(arrays.groups[1].rows, ElementsAre(2, 3));
  ASSERT_EQ(arrays.groups[0].samples.size(), 1U);
  const SampleRow& row = arrays.groups[0].samples[0];
  EXPECT_EQ(row.position, 3);
  EXPECT_EQ(decode.sampled, 4) << "counted";
  EXPECT_EQ(row.counts_row, -1) << "without penalties nothing is counted";
  EXPECT_EQ(row.num_masked, 1);
  EXPECT_EQ(row.num_words, 2);
  EXPECT_THAT(arrays.word_starts, ElementsAre(0, 2, 3));
  EXPECT_THAT(arrays.word_tokens, ElementsAre(1, 2, 3));
  // The decode entry's row comes first on the device, but last among the outputs: 3 prompt rows of
  // two elements each lie before it.
  ASSERT_EQ(arrays.places.size(), 4U);
  EXPECT_EQ(arrays.places[0].flat_first, 6);
  EXPECT_EQ(arrays.places[0].size, 5);
  EXPECT_EQ(arrays.places[1].flat_first, 0);
  EXPECT_EQ(arrays.places[1].first, 5);
  EXPECT_EQ(arrays.places[2].first, 16) << "the next group begins aligned";
  EXPECT_EQ(arrays.groups[0].logprobs[0].token, -1) << "of the first sampled token";
  EXPECT_EQ(arrays.groups[0].logprobs[1].token, 12);
}

}  // namespace
}  // namespace touchstone::backend::cuda
