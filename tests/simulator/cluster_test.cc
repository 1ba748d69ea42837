// Several replicas behind a router, and loads that answer to them.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "simulator/closed_loop.h"
#include "simulator/cluster/router.h"
#include "tests/simulator/support.h"
#include "workload/generate.h"

namespace touchstone::simulator {
namespace {

std::vector<SimulatedRequest> all_of(RequestSource& source) {
  std::vector<SimulatedRequest> requests;
  SimulatedRequest request;
  while (source.next(request).value()) requests.push_back(request);
  return requests;
}

/// Requests with hang-ups and shared prefixes.
std::vector<SimulatedRequest> mixed_load(uint64_t seed, const scheduler::Config& config) {
  RandomStream random(seed, "cluster");
  const auto source = make_workload_source(generator_feed({.seed = seed,
                                                           .requests = 60,
                                                           .rate_per_s = 80,
                                                           .prompt_tokens = {.low = 2, .high = 100},
                                                           .output_tokens = {.low = 1, .high = 50},
                                                           .prefixes = 2,
                                                           .prefix_tokens = 32,
                                                           .prefix_block_size = 4}),
                                           config);
  std::vector<SimulatedRequest> requests = all_of(*source);
  for (SimulatedRequest& r : requests) {
    if (random.chance(1, 5)) r.abort_ns = r.request.arrival_ns + random.between(0, 200'000'000);
  }
  return requests;
}

/// A step time that varies by chance.
class NoisyStepTime final : public StepTimeModel {
 public:
  int64_t duration_ns(const StepFeatures& f, StepNoise& noise) const override {
    return 1'000'000 + 100'000 * f.decode_requests + noise.random.between(0, 500'000);
  }
  Validity validity() const override { return {}; }
  std::string describe() const override { return "noisy"; }
};

std::vector<std::string> lines_of(const Keeper& keeper, int32_t replica) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < keeper.steps.size(); ++i) {
    if (keeper.step_replicas[i] == replica) lines.push_back(to_json_line(keeper.steps[i]));
  }
  for (size_t i = 0; i < keeper.requests.size(); ++i) {
    if (keeper.request_replicas[i] == replica) lines.push_back(to_json_line(keeper.requests[i]));
  }
  return lines;
}

RC_GTEST_PROP(Cluster, TwoReplicasBehindRoundRobinAreTwoSimulationsOfTheSplitLoad,
              (uint64_t seed)) {
  scheduler::Config configs[] = {small_config(), small_config()};
  configs[0].num_blocks = 60;  // the two need not be equal
  configs[0].max_model_len = 160;
  const std::vector<SimulatedRequest> load = mixed_load(seed, configs[0]);
  const auto slow = make_linear_step_time({3'000'000, 40'000, 300'000});
  const auto fast = make_linear_step_time({1'000'000, 20'000, 100'000});
  const std::vector<ReplicaOptions> replicas = {{configs[0], *slow}, {configs[1], *fast}};
  ListSource source(load);
  const auto router = make_round_robin_router();
  Keeper both;
  const auto end = run_simulation(replicas, *router, source, both, 0);
  RC_ASSERT(end.has_value());
  for (size_t i = 0; i < 2; ++i) {
    std::vector<SimulatedRequest> half;
    for (size_t r = i; r < load.size(); r += 2) half.push_back(load[r]);
    ListSource single(half);
    Keeper alone;
    const auto alone_end = run_simulation(configs[i], single, replicas[i].model, alone);
    RC_ASSERT(alone_end.has_value());
    RC_ASSERT(lines_of(both, static_cast<int32_t>(i)) == lines_of(alone, 0));
    RC_ASSERT(end->counters[i].prefix_cache_hits == alone_end->counters[0].prefix_cache_hits);
  }
}

TEST(Cluster, EachReplicaHasANoiseStreamOfItsOwn) {
  const NoisyStepTime model;
  const std::vector<ReplicaOptions> replicas(2, {small_config(), model});
  const auto run = [&](uint64_t seed, Observer& observer) {
    ListSource source({simulated(1, 0, 9, 20), simulated(2, 0, 9, 20)});
    const auto router = make_round_robin_router();
    return run_simulation(replicas, *router, source, observer, seed)->fingerprint;
  };
  Keeper keeper;
  const uint64_t once = run(1, keeper);
  std::map<int32_t, std::vector<int64_t>> times;
  for (size_t i = 0; i < keeper.steps.size(); ++i) {
    times[keeper.step_replicas[i]].push_back(keeper.steps[i].duration_ns);
  }
  EXPECT_EQ(times[0].size(), times[1].size());
  EXPECT_NE(times[0], times[1]);
  EXPECT_EQ(run(1, keeper), once);
  EXPECT_NE(run(2, keeper), once);
}

TEST(Cluster, ReplicasOfSeveralBlockSizesAreRefused) {
  const auto model = make_constant_step_time(1);
  std::vector<ReplicaOptions> replicas(2, {small_config(), *model});
  replicas[1].config.block_size = 8;
  ListSource source({});
  const auto router = make_round_robin_router();
  Summary summary;
  const auto end = run_simulation(replicas, *router, source, summary, 0);
  ASSERT_FALSE(end.has_value());
  EXPECT_NE(end.error().message.find("got replicas of 4 and of 8"), std::string::npos);
}

TEST(Cluster, SummariesOfReplicasAddUpToTheWhole) {
  const scheduler::Config config = small_config();
  const auto model = make_linear_step_time({1'000'000, 20'000, 100'000});
  const std::vector<ReplicaOptions> replicas(3, {config, *model});
  ListSource source(mixed_load(4, config));
  const auto router = make_least_requests_router();
  ClusterSummary summary(3);
  ASSERT_TRUE(run_simulation(replicas, *router, source, summary, 0).has_value());
  const Summary total = summary.total();
  EXPECT_EQ(total.completed + total.aborted, 60);
  EXPECT_EQ(total.e2e_s.count(), total.completed);
  int64_t steps = 0;
  int64_t peak = 0;
  int64_t last_ns = 0;
  for (const Summary& one : summary.replicas()) {
    EXPECT_GT(one.completed, 0);
    steps += one.steps;
    peak = std::max(peak, one.peak_running);
    last_ns = std::max(last_ns, one.last_finish_ns);
  }
  EXPECT_EQ(total.steps, steps);
  EXPECT_EQ(total.peak_running, peak);
  EXPECT_EQ(total.last_finish_ns, last_ns);
  EXPECT_EQ(total.first_arrival_ns, summary.replicas()[0].first_arrival_ns)
      << "the first request goes to the first replica";
}

TEST(Routers, TheTableMakesEachAndRefusesOthers) {
  for (const RouterRow& row : routers())
    EXPECT_TRUE(make_router(row.name, {}).has_value()) << row.name;
  const auto none = make_router("fastest", {});
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().message.find("expected one of round-robin, random, least-requests"),
            std::string::npos);
}

TEST(Routers, ChooseByWhatTheyMayKnow) {
  const SimulatedRequest request;
  const std::vector<ReplicaView> views = {
      {.in_flight = 5, .reported = {.running = 5}},
      {.in_flight = 4, .reported = {.running = 1, .waiting = 3}},
      {.in_flight = 4, .reported = {.running = 2}, .sent_since_report = 2}};
  const auto round_robin = make_round_robin_router();
  std::vector<size_t> turns;
  for (int i = 0; i < 4; ++i) turns.push_back(round_robin->choose(request, views));
  EXPECT_EQ(turns, (std::vector<size_t>{0, 1, 2, 0}));
  EXPECT_EQ(make_least_requests_router()->choose(request, views), 1u) << "the first of equals";
  EXPECT_EQ(make_least_load_router()->choose(request, views), 0u)
      << "5 running weigh less than 3 waiting or 2 on their way";
}

/// Keeps the views that it was shown, and sends everything to replica 0.
class WatchingRouter final : public Router {
 public:
  size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
    seen.push_back(replicas[0]);
    return 0;
  }
  std::vector<ReplicaView> seen;
};

TEST(Routers, SeeTheirOwnBooksAtOnceAndGaugesAsLastReported) {
  const auto model = make_constant_step_time(10);
  const std::vector<ReplicaOptions> replicas(1, {small_config(), *model});
  // The first runs two steps; the others come while the first of them runs, and when all is over.
  ListSource source({simulated(1, 0, 3, 2), simulated(2, 5, 3, 1), simulated(3, 5, 3, 1),
                     simulated(4, 100, 3, 1)});
  WatchingRouter router;
  Summary summary;
  ASSERT_TRUE(run_simulation(replicas, router, source, summary, 0).has_value());
  ASSERT_EQ(router.seen.size(), 4u);
  EXPECT_EQ(router.seen[1].in_flight, 1);
  EXPECT_EQ(router.seen[1].reported.running, 1);
  EXPECT_EQ(router.seen[1].reported_ns, 0);
  EXPECT_EQ(router.seen[1].sent_since_report, 0);
  EXPECT_EQ(router.seen[2].in_flight, 2);
  EXPECT_EQ(router.seen[2].sent_since_report, 1);
  EXPECT_EQ(router.seen[2].reported.running, 1) << "not seen by the replica yet";
  EXPECT_EQ(router.seen[3].in_flight, 0);
  EXPECT_EQ(router.seen[3].reported.running, 3) << "as of its last step, at 10 ns";
  EXPECT_EQ(router.seen[3].reported_ns, 10);
}

std::unique_ptr<RequestSource> closed_loop(int64_t concurrency, int64_t think_time_ns,
                                           const std::vector<SimulatedRequest>& requests) {
  return make_closed_loop_source({.concurrency = concurrency, .think_time_ns = think_time_ns},
                                 std::make_unique<ListSource>(requests));
}

/// With n clients that never think, n requests are in flight until fewer are left.
RC_GTEST_PROP(ClosedLoop, KeepsExactlyItsConcurrencyInFlight, (uint64_t seed)) {
  RandomStream random(seed, "closed loop");
  const int64_t clients = random.between(1, 8);
  const auto load = mixed_load(seed, small_config());
  const auto source = closed_loop(clients, 0, load);
  const auto model = make_linear_step_time({1'000'000, 20'000, 100'000});
  const std::vector<ReplicaOptions> replicas(2, {small_config(), *model});
  const auto router = make_least_requests_router();
  Keeper keeper;
  RC_ASSERT(run_simulation(replicas, *router, *source, keeper, 0).has_value());
  RC_ASSERT(keeper.requests.size() == load.size());
  // In order of arrival; a request and the end that it follows have the same time.
  std::map<int64_t, int64_t> changes;
  int64_t last_arrival_ns = 0;
  for (const records::RequestRecord& r : keeper.requests) {
    changes[r.arrival_ns] += 1;
    changes[r.finished_ns] -= 1;
    last_arrival_ns = std::max(last_arrival_ns, r.arrival_ns);
  }
  int64_t in_flight = 0;
  for (const auto& [time_ns, change] : changes) {
    in_flight += change;
    if (time_ns < last_arrival_ns) RC_ASSERT(in_flight == clients);
    RC_ASSERT(in_flight <= clients);
  }
  RC_ASSERT(in_flight == 0);
}

/// The clients' time is exactly what they wait for answers and what they think (INV-10).
TEST(ClosedLoop, LittlesLawHoldsExactly) {
  std::vector<SimulatedRequest> load;
  for (uint64_t id = 1; id <= 300; ++id) {
    load.push_back(
        simulated(id, 0, 5 + static_cast<int32_t>(id % 40), 1 + static_cast<int32_t>(id % 17)));
  }
  const int64_t think_ns = 7'000'000;
  const auto source = closed_loop(6, think_ns, load);
  const auto model = make_linear_step_time({3'000'000, 50'000, 400'000});
  Keeper keeper;
  ASSERT_TRUE(run_simulation(small_config(), *source, *model, keeper).has_value());
  ASSERT_EQ(keeper.requests.size(), load.size());
  std::vector<records::RequestRecord> by_end = keeper.requests;
  std::vector<int64_t> starts;
  for (const records::RequestRecord& r : by_end) starts.push_back(r.arrival_ns);
  std::sort(starts.begin(), starts.end());
  // Every arrival but the first six is an end plus the think time.
  for (size_t i = 6; i < starts.size(); ++i) {
    EXPECT_EQ(starts[i], by_end[i - 6].finished_ns + think_ns);
  }
  int64_t running_over_time = 0;
  for (const auto& step : keeper.steps) running_over_time += step.running * step.duration_ns;
  int64_t in_service = 0;
  for (const records::RequestRecord& r : by_end)
    in_service += r.finished_ns - *r.first_scheduled_ns;
  EXPECT_EQ(running_over_time, in_service);
}

TEST(ClosedLoop, HangUpsMoveWithTheirArrivals) {
  std::vector<SimulatedRequest> load = {simulated(1, 500, 3, 1), simulated(2, 900, 3, 50)};
  load[1].abort_ns = 925;
  const auto source = closed_loop(1, 0, load);
  const auto model = make_constant_step_time(10);
  Keeper keeper;
  ASSERT_TRUE(run_simulation(small_config(), *source, *model, keeper).has_value());
  ASSERT_EQ(keeper.requests.size(), 2u);
  EXPECT_EQ(keeper.requests[1].arrival_ns, 10);
  EXPECT_EQ(keeper.requests[1].finished_ns, 40) << "the step boundary after 10 + 25";
  EXPECT_EQ(keeper.requests[1].outcome, records::Outcome::kAbort);
}

}  // namespace
}  // namespace touchstone::simulator
