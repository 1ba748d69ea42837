// Blocks kept in the host's memory, adapters and where they are, clients that give up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "tests/simulator/support.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

workload::Request asks(const std::string& name, int64_t arrival_ns, int64_t prompt,
                       std::vector<uint64_t> blocks) {
  workload::Request r;
  r.name = name;
  r.arrival_ns = arrival_ns;
  r.prompt_tokens = prompt;
  r.output_tokens = 1;
  r.prefix_block_ids = std::move(blocks);
  r.prefix_block_size = r.prefix_block_ids.empty() ? 0 : 4;
  return r;
}

struct Outcome {
  Keeper keeper;
  scheduler::Counters counters;
};

Outcome run(const workload::Workload& load, const ReplicaOptions& replica) {
  Outcome outcome;
  const auto source = make_workload_source(load, replica.config);
  const auto router = make_round_robin_router();
  const auto end = run_simulation({&replica, 1}, *router, *source, outcome.keeper, 0);
  EXPECT_TRUE(end.has_value()) << end.error().message;
  outcome.counters = end->counters[0];
  return outcome;
}

std::vector<uint64_t> numbers(uint64_t from, size_t count) {
  std::vector<uint64_t> ids(count);
  std::iota(ids.begin(), ids.end(), from);
  return ids;
}

/// Prompts of ten blocks in a pool of thirteen: each pushes the one before out.
workload::Workload three_prompts() {
  return {{asks("a", 0, 41, numbers(1, 10)), asks("b", 100'000, 41, numbers(101, 10)),
           asks("a-again", 200'000, 41, numbers(1, 10))}};
}

const scheduler::Config kTight{.num_blocks = 14,
                               .block_size = 4,
                               .max_num_seqs = 4,
                               .max_num_batched_tokens = 64,
                               .max_model_len = 48};

TEST(HostKv, WhatThePoolLostIsFetchedAndNotComputed) {
  const auto model = make_linear_step_time({1000, 10, 100});
  const ReplicaOptions without{kTight, *model};
  ReplicaOptions with = without;
  with.offload = OffloadOptions{.blocks = 100, .bytes_per_token = 2, .bytes_per_s = 1e9};
  const Outcome plain = run(three_prompts(), without);
  const Outcome offloaded = run(three_prompts(), with);
  EXPECT_EQ(plain.counters.external_tokens, 0);
  const auto took = [](const records::RequestRecord& r) { return r.finished_ns - r.arrival_ns; };
  // The pool still has what b did not push out; the rest is computed once more, or fetched.
  const int64_t hit = plain.counters.prefix_cache_hits;
  ASSERT_LT(hit, 20);
  EXPECT_EQ(took(plain.keeper.requests[2]), 1000 + (41 - hit) * 10);
  EXPECT_EQ(offloaded.counters.prefix_cache_hits, hit);
  EXPECT_EQ(offloaded.counters.external_tokens, 40 - hit);
  // One token is left to compute, which is a step of decoding; two nanoseconds a fetched token.
  EXPECT_EQ(took(offloaded.keeper.requests[2]), 1000 + 100 + 2 * (40 - hit));
  EXPECT_EQ(took(offloaded.keeper.requests[1]), took(plain.keeper.requests[1]));
}

TEST(HostKv, TheHostForgetsWhatWasUsedLongestAgo) {
  const auto model = make_linear_step_time({1000, 10, 100});
  ReplicaOptions replica{kTight, *model};
  replica.offload = OffloadOptions{.blocks = 10, .bytes_per_token = 2, .bytes_per_s = 1e9};
  EXPECT_EQ(run(three_prompts(), replica).counters.external_tokens, 0) << "b took all its room";
  replica.offload->blocks = 20;
  EXPECT_GT(run(three_prompts(), replica).counters.external_tokens, 0);
}

TEST(HostKv, AHostThatIsNeverAskedChangesNothing) {
  const auto model = make_linear_step_time({1000, 10, 100});
  workload::Workload load;
  for (int i = 0; i < 40; ++i) {
    load.requests.push_back(asks("r" + std::to_string(i), i * 700, 10 + i % 30, {}));
    load.requests.back().output_tokens = 1 + i % 7;
  }
  ReplicaOptions replica{kTight, *model};
  replica.config.num_blocks = 200;
  const Outcome without = run(load, replica);
  replica.offload = OffloadOptions{.blocks = 1000, .bytes_per_token = 2, .bytes_per_s = 1e9};
  const Outcome with = run(load, replica);
  ASSERT_EQ(without.keeper.steps.size(), with.keeper.steps.size());
  // Nothing is shared; only what a preemption threw away can come back.
  int64_t preemptions = 0;
  for (const auto& r : without.keeper.requests) preemptions += r.preemptions;
  ASSERT_EQ(preemptions, 0);
  for (size_t i = 0; i < with.keeper.steps.size(); ++i) {
    EXPECT_EQ(to_json_line(without.keeper.steps[i]), to_json_line(with.keeper.steps[i]));
  }
}

TEST(HostKv, NeedsThePrefixCachesHashes) {
  const auto model = make_constant_step_time(10);
  ReplicaOptions replica{kTight, *model};
  replica.offload = OffloadOptions{.blocks = 1, .bytes_per_token = 1, .bytes_per_s = 1};
  replica.config.enable_prefix_caching = false;
  ListSource source({});
  Keeper keeper;
  const auto router = make_round_robin_router();
  EXPECT_THAT(run_simulation({&replica, 1}, *router, source, keeper, 0).error().message,
              HasSubstr("offload: got it without prefix caching"));
}

/// Two adapters in turn on a server with one place load at every turn; on servers of their own each
/// is loaded once.
TEST(Adapters, PlacedApartTheyAreLoadedOnce) {
  scheduler::Config config = small_config();
  config.max_loras = 1;
  const auto model = make_constant_step_time(100);
  workload::Workload load;
  for (int i = 0; i < 10; ++i) {
    load.requests.push_back(asks("r" + std::to_string(i), i * 10'000, 3, {}));
    load.requests.back().adapter = i % 2 == 0 ? "even" : "odd";
  }
  const auto times = [&](const std::vector<ReplicaOptions>& replicas) {
    const auto source = make_workload_source(load, config);
    const auto router = make_least_requests_router();
    Keeper keeper;
    const auto end = run_simulation(replicas, *router, *source, keeper, 0);
    EXPECT_TRUE(end.has_value()) << end.error().message;
    int64_t sum = 0;
    for (size_t i = 0; i < keeper.requests.size(); ++i) {
      const records::RequestRecord& r = keeper.requests[i];
      EXPECT_EQ(r.adapter, i % 2 == 0 ? "even" : "odd");
      if (replicas.size() == 2) {
        EXPECT_EQ(keeper.request_replicas[i], static_cast<int32_t>(i % 2));
      }
      sum += r.finished_ns - r.arrival_ns;
    }
    return sum;
  };
  ReplicaOptions one{config, *model};
  one.adapter_load_ns = 70;
  EXPECT_EQ(times({one}), 10 * (100 + 70));
  ReplicaOptions even = one;
  ReplicaOptions odd = one;
  even.adapters = {"even"};
  odd.adapters = {"odd"};
  EXPECT_EQ(times({even, odd}), 10 * 100 + 2 * 70);
  one.config.max_loras = config.max_loras = 2;
  EXPECT_EQ(times({one}), 10 * 100 + 2 * 70) << "room for both";
}

TEST(Adapters, OneThatNobodyHasIsNamedAndPromptsOfOthersAreNotShared) {
  const auto model = make_linear_step_time({1000, 10, 100});
  ReplicaOptions replica{kTight, *model};
  replica.config.max_loras = 2;
  workload::Workload load = {{asks("a", 0, 21, numbers(1, 5)),
                              asks("b", 100'000, 21, numbers(1, 5)),
                              asks("c", 200'000, 21, numbers(1, 5))}};
  load.requests[1].adapter = "law";
  load.requests[2].adapter = "law";
  const Outcome outcome = run(load, replica);
  EXPECT_EQ(outcome.counters.prefix_cache_hits, 20) << "c hits b's blocks, b not a's";
  replica.adapters = {"poetry"};
  const auto source = make_workload_source(load, replica.config);
  const auto router = make_round_robin_router();
  Keeper keeper;
  EXPECT_THAT(run_simulation({&replica, 1}, *router, *source, keeper, 0).error().message,
              HasSubstr("request b: adapter: got \"law\", expected one that a replica has"));
}

/// One server, service of 2, a customer each 1: waits grow by 1 until clients give up after 10.
TEST(Timeouts, AreThoseOfARecursionOfOneServer) {
  constexpr int64_t kGap = 100;
  constexpr int64_t kService = 200;
  constexpr int64_t kPatience = 1050;
  scheduler::Config config = small_config();
  config.max_num_seqs = 1;
  const auto model = make_constant_step_time(kService);
  workload::Workload load;
  for (int i = 0; i < 60; ++i) {
    load.requests.push_back(asks("r" + std::to_string(i), i * kGap, 3, {}));
    load.requests.back().timeout_ns = kPatience;
  }
  Keeper keeper;
  const auto source = make_workload_source(load, config);
  ASSERT_TRUE(run_simulation(config, *source, *model, keeper).has_value());
  std::map<uint64_t, const records::RequestRecord*> by_id;
  for (const records::RequestRecord& r : keeper.requests) by_id[r.id] = &r;
  ASSERT_EQ(by_id.size(), 60u);
  int64_t free_ns = 0;
  int given_up = 0;
  for (int64_t i = 0; i < 60; ++i) {
    const int64_t arrival_ns = i * kGap;
    const int64_t start_ns = std::max(arrival_ns, free_ns);
    const records::RequestRecord& r = *by_id[static_cast<uint64_t>(i) + 1];
    // A step that has begun is finished, and its answer is there at its end.
    if (start_ns < arrival_ns + kPatience) {
      free_ns = start_ns + kService;
      EXPECT_EQ(*r.first_scheduled_ns, start_ns) << i;
      EXPECT_EQ(r.outcome, records::Outcome::kLength) << i;
    } else {
      ++given_up;
      EXPECT_EQ(r.outcome, records::Outcome::kAbort) << i;
      EXPECT_FALSE(r.first_scheduled_ns.has_value()) << i;
    }
  }
  EXPECT_GT(given_up, 15);
}

TEST(Timeouts, PatienceThatNobodyNeedsChangesNothing) {
  const auto model = make_linear_step_time({1000, 10, 100});
  workload::Workload load;
  for (int i = 0; i < 30; ++i) {
    load.requests.push_back(asks("r" + std::to_string(i), i * 900, 5 + i, {}));
    load.requests.back().output_tokens = 1 + i % 9;
  }
  const auto run_it = [&](Keeper& keeper) {
    const auto source = make_workload_source(load, small_config());
    return run_simulation(small_config(), *source, *model, keeper).value();
  };
  Keeper without;
  const SimulationEnd end = run_it(without);
  for (workload::Request& r : load.requests) r.timeout_ns = 3'600'000'000'000;
  Keeper with;
  EXPECT_EQ(run_it(with).end_ns, end.end_ns) << "nobody waits for a client that is gone";
  ASSERT_EQ(with.requests.size(), without.requests.size());
  for (size_t i = 0; i < with.requests.size(); ++i) {
    EXPECT_EQ(to_json_line(with.requests[i]), to_json_line(without.requests[i]));
  }
}

TEST(Timeouts, InFrontOfTheRouterClientsGoWhenTheirTimeIsUp) {
  const auto model = make_constant_step_time(1000);
  const ReplicaOptions replica{small_config(), *model};
  workload::Workload load = {{asks("a", 0, 3, {}), asks("b", 10, 3, {}), asks("c", 20, 3, {})}};
  load.requests[1].timeout_ns = 100;
  class Lost final : public Observer {
   public:
    void on_step(const StepView&) override {}
    void on_request(int32_t, const records::RequestRecord& r) override { ended.push_back(r.id); }
    void on_lost(const SimulatedRequest& r, Loss loss, int64_t time_ns) override {
      EXPECT_EQ(loss, Loss::kGaveUp);
      EXPECT_EQ(time_ns, 110);
      lost.push_back(r.request.id);
    }
    std::vector<uint64_t> ended;
    std::vector<uint64_t> lost;
  } observer;
  const auto source = make_workload_source(load, replica.config);
  const auto router = make_round_robin_router();
  // A queue of two: the one that goes makes room for c, which comes later than it went.
  load.requests[2].arrival_ns = 200;
  ASSERT_TRUE(run_simulation({&replica, 1}, *router, *source, observer, 0,
                             {.in_flight_max = 1, .queue_max = 1})
                  .has_value());
  EXPECT_EQ(observer.lost, (std::vector<uint64_t>{2}));
  EXPECT_EQ(observer.ended, (std::vector<uint64_t>{1, 3}));
}

}  // namespace
}  // namespace touchstone::simulator
