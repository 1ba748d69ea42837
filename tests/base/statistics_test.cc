#include "base/statistics.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/random.h"

namespace touchstone {
namespace {

TEST(Statistics, QuantilesAreNumPysDefault) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.95), 3.85);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.99), 7);
  EXPECT_DOUBLE_EQ(mean(values), 2.5);
}

TEST(Statistics, TooFewSamplesHaveNoInterval) {
  EXPECT_FALSE(quantile_interval({1, 2, 3}, 0.95, 0.95));
  EXPECT_FALSE(quantile_interval({}, 0.5, 0.95));
}

TEST(Statistics, IntervalOfAMedianIsTheTextbooksOne) {
  // n = 10, median, 95 %: ranks 2 and 9 (97.9 %), e.g. Conover, Practical Nonparametric Statistics.
  std::vector<double> values(10);
  std::iota(values.begin(), values.end(), 1.0);
  const auto interval = quantile_interval(values, 0.5, 0.95);
  ASSERT_TRUE(interval);
  EXPECT_EQ(interval->low, 2);
  EXPECT_EQ(interval->high, 9);
}

TEST(Statistics, IntervalsCoverTheTrueQuantileAsOftenAsTheySay) {
  RandomStream random(3, "coverage");
  constexpr int kTrials = 2'000;
  int covered = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values(120);
    for (double& value : values) value = random.uniform();
    const auto interval = quantile_interval(values, 0.9, 0.95);
    ASSERT_TRUE(interval);
    covered += interval->low <= 0.9 && 0.9 <= interval->high;
  }
  EXPECT_GE(covered, static_cast<int>(0.94 * kTrials));
}

}  // namespace
}  // namespace touchstone
