#include "base/random.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <map>

namespace touchstone {
namespace {

TEST(RandomStream, EqualSeedAndNameGiveEqualNumbersAndOtherNamesOthers) {
  RandomStream a(7, "arrivals");
  RandomStream b(7, "arrivals");
  RandomStream other_name(7, "lengths");
  RandomStream other_seed(8, "arrivals");
  const uint64_t first = a.next();
  EXPECT_EQ(first, b.next());
  EXPECT_NE(first, other_name.next());
  EXPECT_NE(first, other_seed.next());
}

TEST(RandomStream, SplitMixMatchesItsReference) {
  uint64_t state = 1234567;  // reference values of splitmix64.c for this seed
  EXPECT_EQ(splitmix64(state), 6457827717110365317u);
  EXPECT_EQ(splitmix64(state), 3203168211198807973u);
}

TEST(Philox, MatchesTheKnownAnswersOfItsAuthors) {
  // Random123 kat_vectors, philox4x32 10.
  EXPECT_EQ(philox4x32(0, {0, 0, 0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32(0xffffffffffffffff, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

RC_GTEST_PROP(RandomStreamProperty, BelowAndBetweenStayInRange, (uint64_t seed, uint32_t bound)) {
  RC_PRE(bound > 0u);
  RandomStream random(seed, "range");
  for (int i = 0; i < 50; ++i) {
    RC_ASSERT(random.below(bound) < bound);
    const int64_t value = random.between(-int64_t{bound}, int64_t{bound});
    RC_ASSERT(value >= -int64_t{bound} && value <= int64_t{bound});
  }
}

/// Sample mean of `draws` values within `sigmas` standard errors of `expected`.
template <typename Draw>
void expect_mean(Draw draw, double expected, double deviation) {
  constexpr int kDraws = 100'000;
  constexpr double kSigmas = 5;  // one false alarm in three million seeds; the seed is fixed
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) sum += draw();
  EXPECT_NEAR(sum / kDraws, expected, kSigmas * deviation / std::sqrt(double{kDraws}));
}

TEST(RandomStream, DistributionsHaveTheirMeans) {
  RandomStream random(42, "means");
  expect_mean([&] { return random.uniform(); }, 0.5, std::sqrt(1.0 / 12));
  expect_mean([&] { return random.exponential(3); }, 3, 3);
  expect_mean([&] { return random.normal(); }, 0, 1);
  expect_mean([&] { return random.gamma(0.5, 2); }, 1, std::sqrt(0.5) * 2);
  expect_mean([&] { return random.gamma(4, 0.25); }, 1, std::sqrt(4.0) * 0.25);
  expect_mean([&] { return random.chance(3, 100) ? 1.0 : 0.0; }, 0.03, std::sqrt(0.03 * 0.97));
}

}  // namespace
}  // namespace touchstone
