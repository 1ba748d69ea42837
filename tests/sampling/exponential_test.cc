#include "reference_engine/sampling/exponential.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace touchstone::sampling {
namespace {

std::vector<double> of(const std::vector<float>& logits, float top, double temperature) {
  std::vector<double> out(logits.size(), -1);
  exponentials(logits, top, temperature, out);
  return out;
}

TEST(Exponential, IsWithinABitOrTwoOfTheLibrarys) {
  RandomStream random(1, "exponential");
  std::vector<float> logits = {0.0F};
  for (int i = 0; i < 100'000; ++i) {
    logits.push_back(static_cast<float>(-699.9 * std::pow(random.uniform(), 4)));
  }
  const std::vector<double> values = of(logits, 0, 1);
  for (size_t i = 0; i < logits.size(); ++i) {
    const double expected = std::exp(static_cast<double>(logits[i]));
    ASSERT_LE(std::abs(values[i] - expected), 1e-15 * expected) << logits[i];
  }
  EXPECT_EQ(values[0], 1.0);
}

TEST(Exponential, TemperatureAndTopShiftAndScale) {
  const std::vector<double> values = of({1.0F, 3.0F, -5.0F}, 3.0F, 2.0);
  EXPECT_DOUBLE_EQ(values[0], std::exp(-1.0));
  EXPECT_DOUBLE_EQ(values[1], 1.0);
  EXPECT_DOUBLE_EQ(values[2], std::exp(-4.0));
}

TEST(Exponential, WhatIsMaskedOrNoNumberWeighsNothing) {
  const float none = -std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(of({none, nan, -701.0F, 0.0F}, 0, 1), (std::vector<double>{0, 0, 0, 1}));
  EXPECT_EQ(of({none, -1.0F}, 0, 1e-4), (std::vector<double>{0, 0})) << "cold: far below 2^-1022";
}

/// The value must not depend on where in an array a number stands: vector and remainder alike.
TEST(Exponential, EveryPlaceGivesTheSameBits) {
  RandomStream random(2, "places");
  std::vector<float> logits;
  for (int i = 0; i < 67; ++i) logits.push_back(static_cast<float>(-20 * random.uniform()));
  const std::vector<double> together = of(logits, 0.5F, 0.7);
  for (size_t i = 0; i < logits.size(); ++i) {
    const double alone = of({logits[i]}, 0.5F, 0.7)[0];
    EXPECT_EQ(std::memcmp(&alone, &together[i], sizeof alone), 0) << i;
  }
}

TEST(Exponential, EveryInstructionSetGivesTheSameBits) {
  RandomStream random(3, "paths");
  std::vector<float> logits = {-std::numeric_limits<float>::infinity()};
  for (int i = 0; i < 5000; ++i) logits.push_back(static_cast<float>(-30 * random.uniform()));
  std::vector<std::vector<double>> results;
  for (const ExponentialPath& path : exponential_paths()) {
    std::vector<double>& result = results.emplace_back(logits.size(), -1);
    path.run(logits, 0.25, 1 / 0.7, 0, result.data());
    EXPECT_EQ(std::memcmp(result.data(), results[0].data(), result.size() * sizeof(double)), 0)
        << path.name;
  }
  EXPECT_STREQ(exponential_paths().back().name, "portable");
}

/// What lets a device that sums in another order draw the same tokens.
TEST(Exponential, SumsOfDrawWeightsAreExactInAnyOrder) {
  RandomStream random(4, "weights");
  std::vector<float> logits = {0.0F};
  for (int i = 1; i < 1 << 18; ++i) {
    // Many that weigh nearly 1, so that the sum is as large as it gets, and a long tail.
    logits.push_back(static_cast<float>(-30 * std::pow(random.uniform(), 60)));
  }
  std::vector<double> weights(logits.size());
  draw_weights(logits, 0, 1, weights);
  EXPECT_EQ(weights[0], 1.0);
  for (size_t i = 0; i < weights.size(); ++i) {
    ASSERT_NEAR(weights[i], std::exp(static_cast<double>(logits[i])), 0x1p-36);
  }
  const double forward = std::accumulate(weights.begin(), weights.end(), 0.0);
  EXPECT_GT(forward, 0x1p17) << "no test of the last bits";
  EXPECT_EQ(std::accumulate(weights.rbegin(), weights.rend(), 0.0), forward);
  EXPECT_EQ(ordered_sum(weights), forward);
  std::sort(weights.begin(), weights.end());
  EXPECT_EQ(std::accumulate(weights.begin(), weights.end(), 0.0), forward);
}

TEST(Exponential, TheOrderedSumTakesEveryValueOnce) {
  for (size_t size = 0; size < 40; ++size) {
    std::vector<double> values(size);
    std::iota(values.begin(), values.end(), 1.0);
    EXPECT_EQ(ordered_sum(values), static_cast<double>(size * (size + 1)) / 2) << size;
  }
}

}  // namespace
}  // namespace touchstone::sampling
