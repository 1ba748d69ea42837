// A long simulation takes memory for what is in flight, not for what is over.
#include "tests/support/memory.h"

#include <gtest/gtest.h>

#include "base/statistics.h"
#include "simulator/session_source.h"
#include "tests/simulator/queueing.h"

namespace touchstone::simulator {
namespace {

/// Resident bytes that a simulation of so many requests leaves behind at its end, while everything
/// of it is still there.
int64_t growth_of(int64_t requests) {
  scheduler::Config config{.num_blocks = 2000,
                           .block_size = 16,
                           .max_num_seqs = 64,
                           .max_num_batched_tokens = 2048,
                           .max_model_len = 2048};
  const workload::GenerateOptions load{.seed = 3,
                                       .requests = requests,
                                       .rate_per_s = 100,
                                       .prompt_tokens = {10, 200},
                                       .output_tokens = {1, 8},
                                       .prefixes = 8,
                                       .prefix_tokens = 64};
  const auto model = make_linear_step_time({1'000'000, 10'000, 20'000});
  const auto source = make_session_source(generator_feed(load), config);
  const std::vector<ReplicaOptions> replicas(2, {config, *model});
  const auto router = make_router("prefix", {.cache_blocks = 2000, .block_size = 16});
  ClusterSummary summary(2);
  const int64_t before = support::resident_bytes();
  EXPECT_TRUE(run_simulation(replicas, **router, *source, summary, 0).has_value());
  EXPECT_EQ(summary.total().completed, requests);
  return support::resident_bytes() - before;
}

TEST(Memory, GrowsByTheLatenciesAloneUntilTheyAreCounted) {
  (void)growth_of(20'000);  // what the program needs once
  const int64_t few = growth_of(20'000);
  const int64_t many = growth_of(120'000);
  // Five numbers a request, and a vector has up to twice the room.
  EXPECT_LT(many - few, 100'000 * 5 * 8 * 2 + (4 << 20));
}

TEST(Latencies, AreExactUpToAMillionAndThenWithinTheStatedError) {
  Latencies latencies;
  RandomStream random(5, "latencies");
  std::vector<double> all;
  const auto add = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      all.push_back(random.exponential(2.0));
      latencies.add(all.back());
    }
  };
  add(Latencies::kMostExact);
  ASSERT_TRUE(latencies.exact());
  EXPECT_EQ(latencies.quantile(0.95), quantile(all, 0.95));
  EXPECT_EQ(latencies.mean(), mean(all));
  add(200'000);
  ASSERT_FALSE(latencies.exact());
  EXPECT_EQ(latencies.count(), std::ssize(all));
  EXPECT_NEAR(latencies.mean(), mean(all), 1e-9);
  for (const double q : {0.01, 0.5, 0.95, 0.99, 0.999}) {
    const double exact = quantile(all, q);
    EXPECT_NEAR(latencies.quantile(q), exact, 1.01 * Latencies::kError * exact) << q;
  }
}

TEST(Latencies, QuantilesGoFromTheLeastToTheMost) {
  Latencies latencies;
  for (const double value : {3.0, 1.0, 2.0}) latencies.add(value);
  EXPECT_EQ(latencies.quantiles(3), (std::vector<double>{1, 2, 3}));
}

}  // namespace
}  // namespace touchstone::simulator
