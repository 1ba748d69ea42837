#include "reference_engine/sampling/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>

namespace touchstone::sampling {
namespace {

TEST(Logprobs, ARowNamesTheTokenAndThenTheMostLikely) {
  const std::vector<float> logits = {1.0F, 3.0F, 2.0F};
  FlatLogprobs flat;
  flat.resize(5);
  write_logprobs(logits, 0, flat.row(2, logprob_row_size(2, 3)));
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  const std::vector<TokenLogprob> row = flat.copy_row(2, 3);
  const std::vector<std::pair<int32_t, int32_t>> expected = {{0, 3}, {1, 1}, {2, 2}};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(row[i].token, expected[i].first);
    EXPECT_EQ(row[i].rank, expected[i].second);
    EXPECT_NEAR(row[i].logprob, logits[static_cast<size_t>(row[i].token)] - std::log(sum), 1e-6);
  }
  EXPECT_EQ(flat.tokens[0], 0) << "a row writes its own elements only";
}

TEST(Logprobs, ARowHasTheTokenItselfAndNeverMoreThanTheVocabulary) {
  EXPECT_EQ(logprob_row_size(0, 10), 1);
  EXPECT_EQ(logprob_row_size(3, 10), 4);
  EXPECT_EQ(logprob_row_size(99, 10), 11);
}

TEST(Logprobs, EqualTokensShareTheWorstOfTheirRanks) {
  const std::vector<float> logits = {2.0F, 2.0F, 5.0F};
  FlatLogprobs flat;
  flat.resize(1);
  write_logprobs(logits, 0, flat.row(0, 1));
  EXPECT_EQ(flat.ranks[0], 3);
}

}  // namespace
}  // namespace touchstone::sampling
