// The simulator against closed forms of queueing theory (INV-10). Each interval is tight enough
// that a server slowed by 2 % is outside of it.
#include "tests/simulator/queueing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace touchstone::simulator {
namespace {

TEST(ClosedForms, MM1) {
  expect_wait({.load = 0.5, .customers = 700'000}, 0.5 / 0.5);
  expect_wait({.load = 0.8, .customers = 1'500'000}, 0.8 / 0.2);
}

/// Pollaczek and Khinchine: half of it.
TEST(ClosedForms, MD1) {
  expect_wait({.load = 0.5, .service = &constant}, 0.5 * 0.5 / 0.5);
  expect_wait({.load = 0.8, .service = &constant, .customers = 800'000}, 0.5 * 0.8 / 0.2);
}

TEST(ClosedForms, MMcWithACentralQueue) {
  const double load = 0.8;
  const System system{.servers = 4,
                      .router = "least-requests",
                      .central_queue = true,
                      .load = load,
                      .customers = 1'500'000};
  expect_wait(system, erlang_c(4, load) / (4 * (1 - load)));
}

/// A Poisson load that is split by chance is Poisson loads.
TEST(ClosedForms, RandomRoutingIsMM1Each) {
  const Estimate split =
      simulate_wait({.servers = 3, .router = "random", .load = 0.7, .customers = 900'000});
  EXPECT_NEAR(split.mean, kServiceNs * 0.7 / 0.3, split.half);
}

/// One after the other makes the gaps of each server Erlang: E_c/M/1.
TEST(ClosedForms, RoundRobinIsErlangGaps) {
  const double load = 0.7;
  const int servers = 3;
  // sigma = (c load / (c load + 1 - sigma))^c, the chance to find the server busy.
  double sigma = 0.5;
  for (int i = 0; i < 200; ++i) {
    sigma = std::pow(servers * load / (servers * load + 1 - sigma), servers);
  }
  const Estimate turns = simulate_wait(
      {.servers = servers, .router = "round-robin", .load = load, .customers = 900'000});
  EXPECT_NEAR(turns.mean, kServiceNs * sigma / (1 - sigma), turns.half);
}

/// Power of two and least requests lie between chance and one queue.
TEST(ClosedForms, RoutersThatLookLieBetweenChanceAndACentralQueue) {
  const double load = 0.7;
  const auto wait = [load](const char* router, bool central) {
    return simulate_wait({.servers = 4,
                          .router = router,
                          .central_queue = central,
                          .load = load,
                          .customers = 300'000})
        .mean;
  };
  const double random = wait("random", false);
  const double two = wait("power-of-two", false);
  const double least = wait("least-requests", false);
  const double central = wait("least-requests", true);
  EXPECT_LT(two, 0.7 * random);
  EXPECT_LT(least, two);
  EXPECT_LT(central, least);
}

/// A step whose time is its batch shares the server equally: T = S / (1 - load) for any lengths.
TEST(ClosedForms, BatchesThatCostTheirSizeAreProcessorSharing) {
  scheduler::Config config{.num_blocks = 4000,
                           .block_size = 128,
                           .max_num_seqs = 512,
                           .max_num_batched_tokens = 512,
                           .max_model_len = 8192,
                           .enable_prefix_caching = false,
                           .enable_chunked_prefill = true};
  const auto model = make_linear_step_time({0, 1000, 1000});
  const double mean_tokens = 60;
  for (const bool spread : {false, true}) {
    RandomStream random(3, "ps");
    std::vector<SimulatedRequest> requests;
    int64_t now_ns = 0;
    double tokens = 0;
    const double load = 0.6;
    for (uint64_t id = 1; id <= 40'000; ++id) {
      now_ns += std::llround(random.exponential(mean_tokens * 1000 / load));
      const auto length = static_cast<int32_t>(
          spread ? std::max(1.0, std::round(random.exponential(mean_tokens))) : mean_tokens);
      tokens += length;
      requests.push_back(simulated(id, now_ns, 1, length));
    }
    ListSource source(requests);
    Waits waits(std::ssize(requests));
    ASSERT_TRUE(run_simulation(config, source, *model, waits).has_value());
    double time_ns = 0;
    for (const Waits::Customer& c : waits.customers) {
      time_ns += static_cast<double>(c.end_ns - c.arrival_ns);
    }
    const double slowdown = time_ns / (tokens * 1000);
    const double actual_load = tokens * 1000 / static_cast<double>(now_ns);
    // A step is a lattice of about 1/60 of a service; the interval of the mean is 3 %.
    EXPECT_NEAR(slowdown, 1 / (1 - actual_load), 0.06 / (1 - actual_load)) << spread;
  }
}

Keeper run_all(const scheduler::Config& config, const std::vector<SimulatedRequest>& requests,
               int64_t unit_ns) {
  ListSource source(requests);
  const auto model = make_linear_step_time({3000 * unit_ns, 50 * unit_ns, 400 * unit_ns});
  Keeper keeper;
  EXPECT_TRUE(run_simulation(config, source, *model, keeper).has_value());
  return keeper;
}

std::vector<SimulatedRequest> random_load(uint64_t seed, int64_t unit_ns) {
  RandomStream random(seed, "metamorphic");
  std::vector<SimulatedRequest> requests;
  int64_t now_ns = 0;
  for (uint64_t id = 1; id <= 80; ++id) {
    now_ns += random.between(0, 9000) * unit_ns;
    requests.push_back(simulated(id, now_ns, static_cast<int32_t>(random.between(1, 60)),
                                 static_cast<int32_t>(random.between(1, 40))));
  }
  return requests;
}

TEST(Metamorphic, TimeTimesSevenIsTimesSeven) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Keeper one = run_all(small_config(), random_load(seed, 1), 1);
    const Keeper seven = run_all(small_config(), random_load(seed, 7), 7);
    ASSERT_EQ(one.requests.size(), seven.requests.size());
    for (size_t i = 0; i < one.requests.size(); ++i) {
      EXPECT_EQ(one.requests[i].id, seven.requests[i].id);
      EXPECT_EQ(7 * *one.requests[i].first_token_ns, *seven.requests[i].first_token_ns);
      EXPECT_EQ(7 * one.requests[i].finished_ns, seven.requests[i].finished_ns);
    }
  }
}

TEST(Metamorphic, WithoutLoadARequestTakesItsOwnSteps) {
  for (int32_t prompt = 1; prompt <= 70; prompt += 23) {
    for (int32_t output = 1; output <= 40; output += 13) {
      const Keeper keeper = run_all(small_config(), {simulated(1, 50, prompt, output)}, 1);
      int64_t expected_ns = 0;
      for (int32_t left = prompt; left > 0; left -= 32) {  // the budget of a step
        const int32_t chunk = std::min(left, 32);
        expected_ns += 3000 + (chunk == 1 ? 400 : 50 * chunk);
      }
      expected_ns += (output - 1) * (3000 + 400);
      EXPECT_EQ(keeper.requests[0].finished_ns - 50, expected_ns) << prompt << " " << output;
    }
  }
}

/// A load split by turns among replicas is as many loads, each on its own server.
TEST(Metamorphic, SplitReplicasAreServersOfTheirOwn) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const std::vector<SimulatedRequest> load = random_load(seed, 1);
    const auto model = make_linear_step_time({3000, 50, 400});
    const std::vector<ReplicaOptions> replicas(3, {small_config(), *model});
    ListSource source(load);
    const auto router = make_round_robin_router();
    Keeper whole;
    ASSERT_TRUE(run_simulation(replicas, *router, source, whole, 0).has_value());
    for (int32_t part = 0; part < 3; ++part) {
      std::vector<SimulatedRequest> own;
      for (size_t i = static_cast<size_t>(part); i < load.size(); i += 3) own.push_back(load[i]);
      const Keeper alone = run_all(small_config(), own, 1);
      std::vector<std::string> of_part;
      for (size_t i = 0; i < whole.requests.size(); ++i) {
        if (whole.request_replicas[i] == part) of_part.push_back(to_json_line(whole.requests[i]));
      }
      ASSERT_EQ(of_part.size(), alone.requests.size());
      for (size_t i = 0; i < of_part.size(); ++i) {
        EXPECT_EQ(of_part[i], to_json_line(alone.requests[i])) << seed << " " << part;
      }
    }
  }
}

TEST(Metamorphic, AServerWithoutLimitsNeverQueues) {
  scheduler::Config config = small_config();
  config.max_num_seqs = 1000;
  config.max_num_batched_tokens = 100'000;
  config.num_blocks = 5000;
  const Keeper keeper = run_all(config, random_load(3, 1), 1);
  for (const records::RequestRecord& r : keeper.requests) {
    EXPECT_EQ(r.preemptions, 0);
    EXPECT_EQ(*r.first_scheduled_ns, *r.queued_ns) << "scheduled in the step that sees it";
  }
}

/// Not a law, as a schedule with more blocks meets other requests at other times: it must hold for
/// all but a few loads, and the sum over all.
TEST(Metamorphic, MoreBlocksPreemptLess) {
  scheduler::Config config = small_config();
  config.max_model_len = 100;
  int64_t preemptions[3] = {};
  int exceptions = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    int64_t before = INT64_MAX;
    for (size_t i = 0; i < 3; ++i) {
      config.num_blocks = 26 + 14 * static_cast<int64_t>(i);
      const Keeper keeper = run_all(config, random_load(seed, 1), 1);
      int64_t count = 0;
      for (const records::RequestRecord& r : keeper.requests) count += r.preemptions;
      preemptions[i] += count;
      exceptions += count > before;
      before = count;
    }
  }
  EXPECT_GT(preemptions[0], 100);
  EXPECT_LT(preemptions[1], preemptions[0]);
  EXPECT_LT(preemptions[2], preemptions[1]);
  EXPECT_LE(exceptions, 6);
}

}  // namespace
}  // namespace touchstone::simulator
