// What a fleet does besides serving: limits, queues, crashes, start-up, scaling; routers and
// sessions.
#include "simulator/cluster/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/files.h"
#include "base/random.h"
#include "simulator/cluster/cluster_file.h"
#include "simulator/session_source.h"
#include "tests/simulator/support.h"
#include "workload/generate.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

/// Keeps what was lost, too.
class FleetKeeper final : public Observer {
 public:
  void on_step(const StepView&) override {}
  void on_request(int32_t replica, const records::RequestRecord& request) override {
    served.push_back(request);
    by_replica[replica].push_back(request.id);
  }
  void on_lost(const SimulatedRequest& request, Loss loss, int64_t time_ns) override {
    lost.emplace_back(request.request.id, loss, time_ns);
  }
  std::vector<records::RequestRecord> served;
  std::map<int32_t, std::vector<uint64_t>> by_replica;
  std::vector<std::tuple<uint64_t, Loss, int64_t>> lost;
};

std::vector<SimulatedRequest> steady(int count, int64_t gap_ns, int32_t output) {
  std::vector<SimulatedRequest> requests;
  for (int i = 0; i < count; ++i) {
    requests.push_back(simulated(static_cast<uint64_t>(i) + 1, i * gap_ns, 3, output));
  }
  return requests;
}

class FleetTest : public ::testing::Test {
 protected:
  Result<SimulationEnd> run(const std::vector<SimulatedRequest>& requests, size_t replicas,
                            const FleetOptions& fleet, const char* router = "least-requests") {
    std::vector<ReplicaOptions> all;
    for (size_t i = 0; i < replicas; ++i) all.push_back({small_config(), *model_, start_up_ns_});
    ListSource source(requests);
    const auto made = make_router(router, {});
    return run_simulation(all, **made, source, keeper_, 0, fleet);
  }
  std::unique_ptr<StepTimeModel> model_ = make_constant_step_time(10);
  int64_t start_up_ns_ = 0;
  FleetKeeper keeper_;
};

TEST_F(FleetTest, WhatFindsNoRoomWaitsInOrder) {
  // One at a time, ten steps each: as with max_num_seqs 1.
  const auto end = run(steady(5, 1, 10), 1, {.in_flight_max = 1});
  ASSERT_TRUE(end.has_value());
  ASSERT_EQ(keeper_.served.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(keeper_.served[i].id, i + 1);
    EXPECT_EQ(keeper_.served[i].arrival_ns, static_cast<int64_t>(i));
    EXPECT_EQ(keeper_.served[i].finished_ns, static_cast<int64_t>(i + 1) * 100);
  }
}

TEST_F(FleetTest, BeyondTheQueueRequestsAreRefused) {
  ASSERT_TRUE(run(steady(5, 1, 10), 1, {.in_flight_max = 1, .queue_max = 2}).has_value());
  EXPECT_EQ(keeper_.served.size(), 3u);
  ASSERT_EQ(keeper_.lost.size(), 2u);
  EXPECT_EQ(keeper_.lost[0], std::tuple(4u, Loss::kRefused, 3));
  EXPECT_EQ(keeper_.lost[1], std::tuple(5u, Loss::kRefused, 4));
}

TEST_F(FleetTest, AClientThatLeavesTheQueueIsNotServed) {
  std::vector<SimulatedRequest> requests = steady(3, 1, 10);
  requests[1].abort_ns = 50;
  ASSERT_TRUE(run(requests, 1, {.in_flight_max = 1}).has_value());
  EXPECT_EQ(keeper_.served.size(), 2u);
  ASSERT_EQ(keeper_.lost.size(), 1u);
  EXPECT_EQ(keeper_.lost[0], std::tuple(2u, Loss::kGaveUp, 50));
}

TEST_F(FleetTest, ACrashSendsWhatItInterruptedElsewhereOrLosesIt) {
  const FleetOptions fleet{.outages = {{.replica = 0, .at_ns = 25, .length_ns = 1000}}};
  ASSERT_TRUE(run(steady(4, 1, 10), 2, fleet, "round-robin").has_value());
  EXPECT_EQ(keeper_.served.size(), 4u);
  EXPECT_EQ(keeper_.by_replica[0].size(), 0u);
  ASSERT_EQ(keeper_.lost.size(), 2u) << "two attempts";
  EXPECT_EQ(keeper_.lost[0], std::tuple(1u, Loss::kCrashed, 25));
  for (const records::RequestRecord& r : keeper_.served) {
    EXPECT_EQ(r.completion_tokens, 10);
    EXPECT_EQ(r.arrival_ns, static_cast<int64_t>(r.id) - 1) << "it has waited since then";
  }
  keeper_ = FleetKeeper();
  FleetOptions without = fleet;
  without.retry = false;
  ASSERT_TRUE(run(steady(4, 1, 10), 2, without, "round-robin").has_value());
  EXPECT_EQ(keeper_.served.size(), 2u);
  EXPECT_EQ(keeper_.lost.size(), 2u);
}

TEST_F(FleetTest, AReplicaIsBackAfterItsOutageAndStartUp) {
  start_up_ns_ = 200;
  const FleetOptions fleet{.outages = {{.replica = 0, .at_ns = 25, .length_ns = 100}}};
  const auto end = run(steady(1, 1, 10), 1, fleet);
  ASSERT_TRUE(end.has_value());
  ASSERT_EQ(keeper_.served.size(), 1u);
  EXPECT_EQ(keeper_.served[0].finished_ns, 25 + 100 + 200 + 10 * 10);
  EXPECT_EQ(end->on_ns[0], end->end_ns) << "one pays for a replica that is down";
}

TEST_F(FleetTest, TheAutoscalerStartsReplicasWhenNeededAndStopsThemWhenNotForLong) {
  start_up_ns_ = 50;
  // Eight requests of 100 steps at once, then silence, then one.
  std::vector<SimulatedRequest> requests = steady(8, 0, 100);
  requests.push_back(simulated(9, 20'000, 3, 1));
  FleetOptions fleet;
  fleet.autoscaler =
      AutoscalerOptions{.interval_ns = 100, .settle_ns = 3'000, .target_in_flight = 2, .least = 1};
  fleet.in_flight_max = 2;
  const auto end = run(requests, 4, fleet);
  ASSERT_TRUE(end.has_value());
  ASSERT_EQ(keeper_.served.size(), 9u);
  std::set<int64_t> ends;
  for (const records::RequestRecord& r : keeper_.served) ends.insert(r.finished_ns);
  EXPECT_EQ(ends, (std::set<int64_t>{1000, 100 + 50 + 1000, 20'010}))
      << "two at once; six on the three that were asked for at 100 and up at 150";
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_GT(end->on_ns[i], 1'050 + 1'900) << i;
    EXPECT_LT(end->on_ns[i], 1'050 + 3'300) << "on until the need has settled";
  }
  EXPECT_EQ(end->on_ns[0], end->end_ns);
}

TEST_F(FleetTest, ReportsAreNoYoungerThanTheirInterval) {
  class Watching final : public Router {
   public:
    size_t choose(const SimulatedRequest&, std::span<const ReplicaView> replicas) override {
      reported_ns.push_back(replicas[0].reported_ns);
      return 0;
    }
    std::vector<int64_t> reported_ns;
  } router;
  const std::vector<ReplicaOptions> replicas(1, {small_config(), *model_});
  ListSource source(steady(20, 10, 1));
  ASSERT_TRUE(
      run_simulation(replicas, router, source, keeper_, 0, {.report_interval_ns = 50}).has_value());
  for (size_t i = 2; i < router.reported_ns.size(); ++i) {
    EXPECT_EQ(router.reported_ns[i], (static_cast<int64_t>(i) - 1) / 5 * 50);
  }
}

TEST_F(FleetTest, BadOptionsAreRefused) {
  const std::pair<const char*, FleetOptions> rows[] = {
      {"report interval: got -1", {.report_interval_ns = -1}},
      {"requests in flight at a replica: got 0", {.in_flight_max = 0}},
      {"queue: got -1", {.queue_max = -1}},
      {"outage of replica: got 2", {.outages = {{.replica = 2, .length_ns = 1}}}},
      {"outage for: got 0", {.outages = {{.replica = 0}}}},
      {"autoscaler least: got 3", {.autoscaler = AutoscalerOptions{.least = 3}}},
      {"autoscaler target in flight: got 0",
       {.autoscaler = AutoscalerOptions{.target_in_flight = 0}}},
  };
  for (const auto& [expected, fleet] : rows) {
    const auto end = run({}, 2, fleet);
    ASSERT_FALSE(end.has_value()) << expected;
    EXPECT_THAT(end.error().message, HasSubstr(expected));
  }
}

/// INV-4 over a fleet: every request is served or lost, whatever happens to the fleet.
TEST_F(FleetTest, EveryRequestIsAccountedFor) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    RandomStream random(seed, "fleet");
    keeper_ = FleetKeeper();
    FleetOptions fleet;
    fleet.in_flight_max = random.between(1, 6);
    fleet.queue_max = random.between(0, 20);
    fleet.retry = random.chance(1, 2);
    fleet.report_interval_ns = random.between(0, 100);
    for (int i = 0; i < 3; ++i) {
      fleet.outages.push_back({.replica = static_cast<int32_t>(random.between(0, 2)),
                               .at_ns = random.between(0, 3000),
                               .length_ns = random.between(1, 800)});
    }
    if (random.chance(1, 2)) {
      fleet.autoscaler = AutoscalerOptions{.interval_ns = random.between(50, 300),
                                           .settle_ns = random.between(0, 1000),
                                           .target_in_flight = 2};
    }
    start_up_ns_ = random.between(0, 200);
    std::vector<SimulatedRequest> requests;
    int64_t now_ns = 0;
    for (uint64_t id = 1; id <= 60; ++id) {
      now_ns += random.between(0, 120);
      requests.push_back(simulated(id, now_ns, static_cast<int32_t>(random.between(1, 40)),
                                   static_cast<int32_t>(random.between(1, 20))));
      if (random.chance(1, 5)) requests.back().abort_ns = now_ns + random.between(0, 400);
    }
    const size_t names = routers().size();
    const char* router = routers()[seed % names].name;
    const auto end = run(requests, 3, fleet, router);
    ASSERT_TRUE(end.has_value()) << seed;
    std::set<uint64_t> over;
    for (const records::RequestRecord& r : keeper_.served) {
      EXPECT_TRUE(over.insert(r.id).second) << "seed " << seed << " request " << r.id;
    }
    for (const auto& [id, loss, time_ns] : keeper_.lost) {
      if (loss == Loss::kCrashed && fleet.retry) continue;
      EXPECT_TRUE(over.insert(id).second) << "seed " << seed << " request " << id;
    }
    EXPECT_EQ(over.size(), 60u) << "seed " << seed;
  }
}

std::vector<ReplicaView> idle(size_t count) {
  std::vector<ReplicaView> views(count);
  for (size_t i = 0; i < count; ++i) views[i].replica = static_cast<int32_t>(i);
  return views;
}

TEST(MoreRouters, RandomAndPowerOfTwoSpreadAsTheyShould) {
  std::vector<ReplicaView> views = idle(4);
  views[2].in_flight = 9;
  const auto random = make_random_router({.seed = 3});
  const auto two = make_power_of_two_router({.seed = 3});
  std::array<int, 4> by_random{};
  std::array<int, 4> by_two{};
  for (int i = 0; i < 4000; ++i) {
    ++by_random[random->choose({}, views)];
    ++by_two[two->choose({}, views)];
  }
  for (const int count : by_random) EXPECT_NEAR(count, 1000, 120);
  EXPECT_EQ(by_two[2], 0) << "each other is less loaded";
}

TEST(MoreRouters, LeastKvCountsWhatWasSentSinceTheReport) {
  std::vector<ReplicaView> views = idle(2);
  views[0].reported = {.free_blocks = 100, .total_blocks = 200};
  views[1].reported = {.free_blocks = 90, .total_blocks = 200};
  const auto router = make_least_kv_router({.block_size = 16});
  EXPECT_EQ(router->choose({}, views), 0u);
  views[0].sent_tokens_since_report = 16 * 11;
  EXPECT_EQ(router->choose({}, views), 1u);
}

TEST(MoreRouters, ASessionStaysAndOnlyThoseOfALostReplicaMove) {
  const auto router = make_session_router();
  const std::vector<ReplicaView> all = idle(4);
  const std::vector<ReplicaView> without = {all[0], all[1], all[3]};
  std::array<int, 4> sessions{};
  for (uint64_t session = 1; session <= 2000; ++session) {
    SimulatedRequest request;
    request.session = session;
    const size_t home = router->choose(request, all);
    EXPECT_EQ(router->choose(request, all), home);
    ++sessions[home];
    const int32_t later = without[router->choose(request, without)].replica;
    EXPECT_TRUE(home == 2 || later == static_cast<int32_t>(home));
  }
  for (const int count : sessions) EXPECT_NEAR(count, 500, 90);
}

TEST(MoreRouters, PrefixFollowsTheBlocksUnlessTheLoadIsUneven) {
  const auto router = make_prefix_router({.cache_blocks = 100, .block_size = 4});
  std::vector<ReplicaView> views = idle(3);
  const auto with_blocks = [](std::vector<uint64_t> words) {
    SimulatedRequest request = simulated(1, 0, static_cast<int32_t>(words.size()) * 4, 1);
    for (const uint64_t word : words) {
      request.request.block_hashes.push_back(scheduler::BlockHash{{word, 0}});
    }
    return request;
  };
  views[0].in_flight = 1;
  EXPECT_EQ(router->choose(with_blocks({1, 2, 3, 4}), views), 1u) << "nowhere: the least loaded";
  EXPECT_EQ(router->choose(with_blocks({1, 2, 3, 5}), views), 1u);
  views[1].in_flight = 5;
  EXPECT_EQ(router->choose(with_blocks({1, 2, 3, 6}), views), 1u) << "three of four are there";
  EXPECT_EQ(router->choose(with_blocks({1, 7, 8, 9}), views), 2u) << "one of four is too few";
  views[1].in_flight = 100;
  EXPECT_EQ(router->choose(with_blocks({1, 2, 3, 4}), views), 2u) << "the load is uneven";
}

TEST(MoreRouters, KeepingPrefixesTogetherHitsMoreOften) {
  const workload::GenerateOptions load{.seed = 2,
                                       .requests = 400,
                                       .rate_per_s = 30,
                                       .prompt_tokens = {.low = 60, .high = 90},
                                       .output_tokens = {.low = 4, .high = 8},
                                       .prefixes = 12,
                                       .prefix_tokens = 56,
                                       .prefix_block_size = 4};
  const auto model = make_linear_step_time({1'000'000, 20'000, 100'000});
  std::map<std::string, int64_t> hits;
  for (const char* name : {"round-robin", "prefix"}) {
    const std::vector<ReplicaOptions> replicas(4, {small_config(), *model});
    const auto source = make_workload_source(generator_feed(load), small_config());
    const auto router = make_router(name, {.cache_blocks = 100, .block_size = 4});
    Summary summary;
    const auto end = run_simulation(replicas, **router, *source, summary, 0);
    ASSERT_TRUE(end.has_value());
    for (const scheduler::Counters& c : end->counters) hits[name] += c.prefix_cache_hits;
  }
  EXPECT_GT(hits["prefix"], hits["round-robin"] * 3 / 2);
}

TEST(Sessions, ATurnWaitsForTheOneBeforeAndItsClientsThought) {
  std::vector<workload::Request> turns(4);
  for (size_t i = 0; i < turns.size(); ++i) {
    turns[i].name = "t" + std::to_string(i);
    turns[i].session = i == 2 ? "" : "s";
    turns[i].turn = static_cast<int64_t>(i);
    turns[i].arrival_ns = static_cast<int64_t>(i) * 5;
    turns[i].prompt_tokens = 3;
    turns[i].output_tokens = 10;
    if (i == 1 || i == 3) turns[i].think_ns = 7;
  }
  turns[3].arrival_ns = 500;  // later than its session would allow
  const auto source = make_session_source(
      [&turns, i = size_t{0}](workload::Request& r) mutable -> Result<bool> {
        if (i == turns.size()) return false;
        r = turns[i++];
        return true;
      },
      small_config());
  const auto model = make_constant_step_time(10);
  Keeper keeper;
  ASSERT_TRUE(run_simulation(small_config(), *source, *model, keeper).has_value());
  std::map<std::string, int64_t> arrivals;
  for (const records::RequestRecord& r : keeper.requests) arrivals[r.request_id] = r.arrival_ns;
  EXPECT_EQ(arrivals["cmpl-t0"], 0);
  EXPECT_EQ(arrivals["cmpl-t1"], 100 + 7) << "the end of t0, and the thought";
  EXPECT_EQ(arrivals["cmpl-t2"], 10);
  EXPECT_EQ(arrivals["cmpl-t3"], 500);
}

TEST(Sessions, AllTurnsOfAGeneratedLoadAreServedInOrder) {
  const workload::GenerateOptions load{.seed = 8,
                                       .requests = 300,
                                       .rate_per_s = 60,
                                       .prompt_tokens = {.low = 4, .high = 12},
                                       .output_tokens = {.low = 2, .high = 12},
                                       .prefix_block_size = 4,
                                       .turns = {.low = 1, .high = 5},
                                       .think_time_ns = 20'000'000,
                                       .context_tokens = 150};
  const auto source = make_session_source([generator = std::make_shared<workload::Generator>(load)](
                                              workload::Request& r) { return generator->next(r); },
                                          small_config());
  const auto made = workload::generate(load).value();
  const auto model = make_linear_step_time({9'000'000, 50'000, 400'000});
  Keeper keeper;
  ASSERT_TRUE(run_simulation(small_config(), *source, *model, keeper).has_value());
  ASSERT_EQ(keeper.requests.size(), made.requests.size());
  std::map<std::string, records::RequestRecord> records;
  for (const records::RequestRecord& r : keeper.requests) records[r.request_id] = r;
  std::map<std::string, int64_t> ended_ns;
  int waited = 0;
  for (const workload::Request& r : made.requests) {
    const records::RequestRecord& record = records.at("cmpl-" + r.name);
    EXPECT_GE(record.arrival_ns, r.arrival_ns);
    if (r.think_ns) {
      EXPECT_EQ(record.arrival_ns, std::max(r.arrival_ns, ended_ns.at(r.session) + *r.think_ns));
      waited += record.arrival_ns > r.arrival_ns;
    }
    ended_ns[r.session] = record.finished_ns;
  }
  EXPECT_GT(waited, 50);
}

class ClusterFileTest : public ::testing::Test {
 protected:
  Result<ClusterFile> read(const std::string& text) {
    EXPECT_TRUE(write_file_atomic(path_, text).has_value());
    return read_cluster(path_);
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-cluster").value();
  std::string path_ = directory_.path() + "/c.yaml";
  const std::string replicas_ =
      "cluster: 1\nreplicas:\n  - name: a\n    count: 3\n    steptime: constant:10ms\n"
      "    flags: {num-gpu-blocks-override: 500, max_num_seqs: 7}\n    price_per_hour: 1.5\n"
      "    start_up: 60s\n";
};

TEST_F(ClusterFileTest, SaysEverything) {
  const auto file = read(replicas_ +
                         "router: prefix\nreport_interval: 100ms\nin_flight_max: 9\n"
                         "queue_max: 4\nretry: false\noutages: [{replica: 2, at: 5s, for: 1s}]\n"
                         "autoscaler: {target_in_flight: 2.5, least: 2, settle: 10s}\n");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->router, "prefix");
  EXPECT_EQ(file->fleet.report_interval_ns, 100'000'000);
  EXPECT_EQ(file->fleet.in_flight_max, 9);
  EXPECT_EQ(file->fleet.queue_max, 4);
  EXPECT_FALSE(file->fleet.retry);
  EXPECT_EQ(file->fleet.outages[0].at_ns, 5'000'000'000);
  EXPECT_EQ(file->fleet.autoscaler->target_in_flight, 2.5);
  const auto cluster = make_cluster(*file, {});
  ASSERT_TRUE(cluster.has_value()) << cluster.error().message;
  ASSERT_EQ(cluster->replicas.size(), 3u);
  EXPECT_EQ(cluster->replicas[2].config.num_blocks, 500);
  EXPECT_EQ(cluster->replicas[2].config.max_num_seqs, 7);
  EXPECT_EQ(cluster->replicas[0].start_up_ns, 60'000'000'000);
  EXPECT_EQ(cluster->price_per_hour[1], 1.5);
}

TEST_F(ClusterFileTest, WhatIsWrongIsNamedWithItsLine) {
  const std::pair<std::string, const char*> rows[] = {
      {"cluster: 2\nreplicas: [{name: a, steptime: x}]\n", "c.yaml:1: cluster: got another"},
      {"cluster: 1\nreplicas: []\n", "c.yaml:2: replicas: got none"},
      {replicas_ + "router: fastest\n", "c.yaml:9: router: got \"fastest\", expected one of"},
      {replicas_ + "in_flight_max: 0\n", "c.yaml:9: in_flight_max: got 0"},
      {replicas_ + "outages: [{replica: 3, at: 5s, for: 1s}]\n", "replica: got 3, expected 0 to 2"},
      {replicas_ + "autoscaler: {target_in_flight: 0}\n", "target_in_flight: got 0"},
      {replicas_ + "rooter: prefix\n", "c.yaml:9: rooter"},
      {"cluster: 1\nreplicas:\n  - name: a\n    steptime: constant:1ms\n"
       "    flags: {max_num_seq: 7}\n",
       "c.yaml:5: replicas[0].flags.max_num_seq: got an unknown flag"},
      {"cluster: 1\nreplicas:\n  - name: a\n    steptime: constant:1ms\n"
       "    flags: {max_num_seqs: many}\n",
       "max_num_seqs: got \"many\", expected an integer"},
      {"cluster: 1\nreplicas:\n  - {name: a, steptime: x, price_per_hour: -1}\n",
       "price_per_hour: got -1"},
  };
  for (const auto& [text, expected] : rows) {
    const auto file = read(text);
    ASSERT_FALSE(file.has_value()) << text;
    EXPECT_THAT(file.error().message, HasSubstr(expected)) << text;
  }
}

}  // namespace
}  // namespace touchstone::simulator
