// The closed forms near saturation, where a mistake of a per cent shows as tens of them and a mean
// needs millions of customers.
#include <gtest/gtest.h>

#include "tests/simulator/queueing.h"

namespace touchstone::simulator {
namespace {

constexpr double kLoad = 0.95;

TEST(NearSaturation, MM1) { expect_wait({.load = kLoad, .customers = 6'000'000}, 0.95 / 0.05); }

TEST(NearSaturation, MD1) {
  expect_wait({.load = kLoad, .service = &constant, .customers = 4'000'000}, 0.5 * 0.95 / 0.05);
}

TEST(NearSaturation, MMcWithACentralQueue) {
  expect_wait({.servers = 4,
               .router = "least-requests",
               .central_queue = true,
               .load = kLoad,
               .customers = 6'000'000},
              erlang_c(4, kLoad) / (4 * (1 - kLoad)));
}

TEST(NearSaturation, RandomRoutingIsMM1Each) {
  const Estimate split =
      simulate_wait({.servers = 3, .router = "random", .load = kLoad, .customers = 9'000'000});
  EXPECT_NEAR(split.mean, kServiceNs * 0.95 / 0.05, split.half);
  EXPECT_LT(split.half, 0.2 * split.mean);
}

}  // namespace
}  // namespace touchstone::simulator
