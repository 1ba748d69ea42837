#include "base/portable_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "base/random.h"

namespace touchstone {
namespace {

TEST(PortableMath, LogarithmIsTheLogarithm) {
  EXPECT_EQ(portable_log(1), 0);
  RandomStream random(1, "log");
  for (int i = 0; i < 100'000; ++i) {
    const double near_one = 1 - random.uniform() * 0x1p-20;
    for (const double x : {1 - random.uniform(), near_one, 1e300 * (1 - random.uniform()),
                           1e-300 * (2 - random.uniform())}) {
      ASSERT_NEAR(portable_log(x), std::log(x), 1e-15 * std::abs(std::log(x))) << x;
    }
  }
}

TEST(PortableMath, ExponentialIsTheExponential) {
  EXPECT_EQ(portable_exp(0), 1);
  EXPECT_EQ(portable_exp(-701), 0);
  RandomStream random(1, "exp");
  for (int i = 0; i < 100'000; ++i) {
    const double x = 1400 * random.uniform() - 700;
    ASSERT_NEAR(portable_exp(x), std::exp(x), 1e-14 * std::exp(x)) << x;
  }
}

/// Bits, not values: these must be the same on every machine.
TEST(PortableMath, BitsAreThoseWrittenDown) {
  RandomStream random(7, "bits");
  uint64_t mixed = 0;
  const auto mix = [&mixed](double value) {
    uint64_t state = mixed ^ std::bit_cast<uint64_t>(value);
    mixed = splitmix64(state);
  };
  for (int i = 0; i < 1000; ++i) {
    mix(random.exponential(3));
    mix(random.normal());
    mix(random.gamma(0.5, 2));
    mix(random.gamma(4, 0.25));
  }
  EXPECT_EQ(mixed, 6311566021989599430u);
}

}  // namespace
}  // namespace touchstone
