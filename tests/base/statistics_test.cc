#include "base/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
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

/// P(X <= k) of a binomial by its sum, the definition.
double binomial_sum(int64_t k, int64_t n, double p) {
  double sum = 0;
  for (int64_t i = 0; i <= k; ++i) {
    sum += std::exp(
        std::lgamma(static_cast<double>(n + 1)) - std::lgamma(static_cast<double>(i + 1)) -
        std::lgamma(static_cast<double>(n - i + 1)) + static_cast<double>(i) * std::log(p) +
        static_cast<double>(n - i) * std::log1p(-p));
  }
  return sum;
}

TEST(QuantileInterval, RanksAreThoseOfTheBinomialSum) {
  for (const int64_t n : {5, 36, 59, 100, 367, 368, 1000}) {
    std::vector<double> ranks;
    for (int64_t i = 1; i <= n; ++i) ranks.push_back(static_cast<double>(i));
    for (const double q : {0.1, 0.5, 0.9, 0.95, 0.99}) {
      const auto interval = quantile_interval(ranks, q, 0.95);
      if (!interval) continue;
      const auto low = static_cast<int64_t>(interval->low);
      const auto high = static_cast<int64_t>(interval->high);
      EXPECT_LE(binomial_sum(low - 1, n, q), 0.025) << n << " " << q;
      EXPECT_GT(binomial_sum(low, n, q), 0.025) << n << " " << q;
      EXPECT_GE(binomial_sum(high - 1, n, q), 0.975) << n << " " << q;
      EXPECT_LT(binomial_sum(high - 2, n, q), 0.975) << n << " " << q;
    }
  }
}

TEST(QuantileBound, NeedsTheSampleThatItSays) {
  for (const double q : {0.01, 0.1, 0.5, 0.9, 0.95, 0.99}) {
    const int64_t needed = quantile_upper_bound_samples(q, 0.95);
    EXPECT_TRUE(quantile_upper_bound(std::vector<double>(needed, 1), q, 0.95)) << q;
    EXPECT_FALSE(quantile_upper_bound(std::vector<double>(needed - 1, 1), q, 0.95)) << q;
    const int64_t below = quantile_lower_bound_samples(q, 0.95);
    EXPECT_TRUE(quantile_lower_bound(std::vector<double>(below, 1), q, 0.95)) << q;
    EXPECT_FALSE(quantile_lower_bound(std::vector<double>(below - 1, 1), q, 0.95)) << q;
  }
  EXPECT_EQ(quantile_upper_bound_samples(0.95, 0.95), 59);
  EXPECT_EQ(quantile_upper_bound_samples(0.99, 0.95), 299);
}

TEST(QuantileBound, IsBelowOrAboveTheQuantile) {
  std::vector<double> values;
  for (int i = 1; i <= 1000; ++i) values.push_back(i);
  values.back() = std::numeric_limits<double>::infinity();
  EXPECT_GT(*quantile_upper_bound(values, 0.9, 0.95), 900);
  EXPECT_LT(*quantile_upper_bound(values, 0.9, 0.95), 930);
  EXPECT_LT(*quantile_lower_bound(values, 0.9, 0.95), 900);
  EXPECT_GT(*quantile_lower_bound(values, 0.9, 0.95), 870);
}

}  // namespace
}  // namespace touchstone
