#include "base/clock.h"

#include <gtest/gtest.h>

namespace touchstone {
namespace {

TEST(VirtualClock, MovesOnlyWhenTold) {
  VirtualClock clock(1'000);
  EXPECT_EQ(clock.monotonic_ns(), 0);
  clock.advance_to(50);
  clock.advance_to(50);
  EXPECT_EQ(clock.monotonic_ns(), 50);
  EXPECT_EQ(clock.unix_ns(), 1'050);
}

TEST(VirtualClockDeathTest, NeverGoesBack) {
  VirtualClock clock;
  clock.advance_to(5);
  EXPECT_DEATH(clock.advance_to(4), "virtual time would go back: 5 -> 4");
}

TEST(RealClock, BothReadingsAgreeOnADuration) {
  const RealClock clock;
  const int64_t unix_start = clock.unix_ns();
  const int64_t start = clock.monotonic_ns();
  EXPECT_GT(unix_start, int64_t{1'600'000'000} * kNsPerSecond);
  const int64_t difference = (clock.unix_ns() - unix_start) - (clock.monotonic_ns() - start);
  EXPECT_LT(std::abs(difference), kNsPerSecond);  // scheduling noise only
}

}  // namespace
}  // namespace touchstone
