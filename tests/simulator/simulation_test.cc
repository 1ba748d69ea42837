#include "simulator/simulation.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/files.h"
#include "base/random.h"
#include "tests/simulator/support.h"
#include "tests/support/paths.h"
#include "workload/generate.h"

namespace touchstone::simulator {
namespace {

/// INV-10. One request at a time, n tokens out take n steps: the waits are Lindley's.
RC_GTEST_PROP(Queueing, OneAtATimeFollowsTheLindleyRecursion, (uint64_t seed)) {
  RandomStream random(seed, "lindley");
  scheduler::Config config = small_config();
  config.max_num_seqs = 1;
  const int64_t step_ns = random.between(1, 1000);
  std::vector<SimulatedRequest> requests;
  int64_t now_ns = 0;
  for (uint64_t id = 1; id <= 60; ++id) {
    now_ns += random.between(0, 12 * step_ns);
    requests.push_back(simulated(id, now_ns, static_cast<int32_t>(random.between(1, 32)),
                                 static_cast<int32_t>(random.between(1, 12))));
  }
  ListSource source(requests);
  const auto model = make_constant_step_time(step_ns);
  Keeper keeper;
  RC_ASSERT(run_simulation(config, source, *model, keeper).has_value());
  RC_ASSERT(keeper.requests.size() == requests.size());
  int64_t wait_ns = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i > 0) {
      const int64_t service_ns = step_ns * requests[i - 1].request.max_tokens;
      const int64_t gap_ns = requests[i].request.arrival_ns - requests[i - 1].request.arrival_ns;
      wait_ns = std::max<int64_t>(0, wait_ns + service_ns - gap_ns);
    }
    const records::RequestRecord& r = keeper.requests[i];
    RC_ASSERT(r.id == requests[i].request.id);
    RC_ASSERT(*r.first_scheduled_ns - r.arrival_ns == wait_ns);
    RC_ASSERT(r.finished_ns - *r.first_scheduled_ns == step_ns * requests[i].request.max_tokens);
  }
}

/// INV-10. The scheduler's running requests over time are the requests' times in service.
TEST(Queueing, LittlesLawHoldsExactly) {
  const workload::GenerateOptions load{.seed = 5,
                                       .requests = 300,
                                       .rate_per_s = 40,
                                       .prompt_tokens = {.low = 4, .high = 60},
                                       .output_tokens = {.low = 1, .high = 30}};
  const auto source = make_workload_source(generator_feed(load), small_config());
  const auto model = make_linear_step_time({3'000'000, 50'000, 400'000});
  Keeper keeper;
  ASSERT_TRUE(run_simulation(small_config(), *source, *model, keeper).has_value());
  int64_t running_over_time = 0;
  for (const auto& step : keeper.steps) running_over_time += step.running * step.duration_ns;
  int64_t in_service = 0;
  for (const records::RequestRecord& r : keeper.requests) {
    EXPECT_EQ(r.preemptions, 0);
    in_service += r.finished_ns - *r.first_scheduled_ns;
  }
  EXPECT_EQ(running_over_time, in_service);
}

/// INV-4, and the order of times in a record.
RC_GTEST_PROP(Simulation, KeepsAccountOfEveryRequest, (uint64_t seed)) {
  RandomStream random(seed, "account");
  scheduler::Config config = small_config();
  config.max_model_len = 80;
  config.num_blocks = 21 + random.between(0, 20);  // tight: preemptions
  config.policy = random.chance(1, 2) ? scheduler::Policy::kFcfs : scheduler::Policy::kPriority;
  std::vector<SimulatedRequest> requests;
  int64_t now_ns = 0;
  for (uint64_t id = 1; id <= 40; ++id) {
    now_ns += random.between(0, 4'000'000);
    SimulatedRequest r = simulated(id, now_ns, static_cast<int32_t>(random.between(1, 50)),
                                   static_cast<int32_t>(random.between(1, 60)));
    r.request.priority = random.between(0, 2);
    if (random.chance(1, 4)) r.abort_ns = now_ns + random.between(0, 30'000'000);
    requests.push_back(r);
  }
  ListSource source(requests);
  const auto model = make_linear_step_time({1'000'000, 10'000, 50'000});
  Keeper keeper;
  const auto end = run_simulation(config, source, *model, keeper);
  RC_ASSERT(end.has_value());
  RC_ASSERT(keeper.requests.size() == requests.size());
  int64_t preemptions = 0;
  for (const records::RequestRecord& r : keeper.requests) {
    const SimulatedRequest& asked = requests[r.id - 1];
    preemptions += r.preemptions;
    RC_ASSERT(r.arrival_ns <= *r.queued_ns);
    if (r.first_scheduled_ns) RC_ASSERT(*r.queued_ns <= *r.first_scheduled_ns);
    if (r.first_token_ns) {
      RC_ASSERT(*r.first_scheduled_ns < *r.first_token_ns);
      RC_ASSERT(*r.first_token_ns <= r.last_token_ns.value());
      RC_ASSERT(*r.last_token_ns <= r.finished_ns);
      RC_ASSERT(r.completion_tokens >= 1);
    } else {
      RC_ASSERT(r.completion_tokens == 0);
    }
    if (r.outcome == records::Outcome::kLength) {
      RC_ASSERT(r.completion_tokens ==
                std::min(asked.request.max_tokens,
                         config.max_model_len - asked.request.num_prompt_tokens));
    } else {
      RC_ASSERT(r.finished_ns >= asked.abort_ns.value());
    }
  }
  RC_ASSERT(preemptions == end->counters[0].preemptions);
}

TEST(Simulation, EqualInputsGiveAnEqualFingerprint) {
  const workload::GenerateOptions load{
      .seed = 5, .requests = 200, .rate_per_s = 40, .prefixes = 2, .prefix_tokens = 64};
  scheduler::Config config = small_config();
  config.max_model_len = 1000;
  config.num_blocks = 400;
  std::vector<uint64_t> prints;
  for (const int64_t base_ns : {5'000'000, 5'000'000, 5'000'001}) {
    const auto source = make_workload_source(generator_feed(load), config);
    const auto model = make_linear_step_time({base_ns, 50'000, 400'000});
    Keeper keeper;
    prints.push_back(run_simulation(config, *source, *model, keeper)->fingerprint);
  }
  EXPECT_EQ(prints[0], prints[1]);
  EXPECT_NE(prints[0], prints[2]);
}

TEST(Simulation, TimeThatNoLongerFitsIsRefused) {
  ListSource beyond({simulated(1, kLatestNs + 1, 3, 1)});
  ListSource late({simulated(1, kLatestNs - 5, 3, 1)});
  Summary summary;
  for (ListSource* source : {&beyond, &late}) {
    const auto end = run_simulation(small_config(), *source, *make_constant_step_time(6), summary);
    ASSERT_FALSE(end.has_value());
    EXPECT_NE(end.error().message.find("236 years"), std::string::npos) << end.error().message;
  }
  ListSource just({simulated(1, kLatestNs - 5, 3, 1)});
  EXPECT_TRUE(run_simulation(small_config(), just, *make_constant_step_time(5), summary));
}

TEST(Simulation, NothingToDoIsNothing) {
  ListSource source({});
  const auto model = make_constant_step_time(1);
  Summary summary;
  const auto end = run_simulation(small_config(), source, *model, summary);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->events, 0);
  EXPECT_EQ(summary.completed, 0);
  EXPECT_EQ(summary.makespan_ns(), 0);
}

TEST(Simulation, BadInputIsRefusedWithItsName) {
  struct Row {
    std::vector<SimulatedRequest> requests;
    int64_t num_blocks;
    const char* expected;
  };
  const Row rows[] = {
      {{simulated(1, 5, 3, 3), simulated(2, 4, 3, 3)}, 101, "request r2: got arrival 4 ns"},
      {{simulated(1, 0, 200, 3)}, 101, "request r1: got a prompt of 200 tokens"},
      {{simulated(1, 0, 0, 3)}, 101, "request r1: got a prompt of 0 tokens"},
      {{simulated(1, 0, 3, 0)}, 101, "request r1: got 0 output tokens"},
      {{simulated(1, 0, 3, 3)}, 0, "num_blocks: got 0"},
  };
  for (const Row& row : rows) {
    scheduler::Config config = small_config();
    config.num_blocks = row.num_blocks;
    ListSource source(row.requests);
    const auto model = make_constant_step_time(1);
    Summary summary;
    const auto end = run_simulation(config, source, *model, summary);
    ASSERT_FALSE(end.has_value()) << row.expected;
    EXPECT_EQ(end.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(end.error().message.find(row.expected), 0u) << end.error().message;
  }
}

/// Two priorities, chunked prefill, a shared prefix, a hang-up and preemptions in nineteen blocks.
std::string golden_transcript() {
  scheduler::Config config = small_config();
  config.num_blocks = 20;
  config.max_model_len = 72;
  config.policy = scheduler::Policy::kPriority;
  workload::Workload load;
  for (int64_t i = 0; i < 5; ++i) {
    workload::Request r;
    r.name = std::string(1, static_cast<char>('a' + i));
    r.arrival_ns = i * 3'000'000;
    r.prompt_tokens = 20 + 3 * i;
    r.output_tokens = 16;
    r.prefix_block_ids = {1, 2, 3};
    r.prefix_block_size = 4;
    r.priority = i % 2;
    if (i == 3) {
      r.stream = true;
      r.hang_up_after_chunks = 4;
    }
    load.requests.push_back(r);
  }
  const auto source = make_workload_source(load, config);
  const auto model = make_linear_step_time({2'000'000, 100'000, 300'000});
  Keeper keeper;
  const auto end = run_simulation(config, *source, *model, keeper);
  std::string text;
  for (const auto& step : keeper.steps) text += to_json_line(step) + "\n";
  for (const records::RequestRecord& r : keeper.requests) {
    records::RequestRecord without_hashes = r;
    without_hashes.block_hashes.clear();
    text += to_json_line(without_hashes) + "\n";
  }
  text += std::to_string(end->events) + " events, fingerprint " + std::to_string(end->fingerprint) +
          "\n";
  return text;
}

TEST(Simulation, TheGoldenScenarioRunsAsWrittenDown) {
  const std::string path = support::source_dir() + "/tests/simulator/golden/priorities.jsonl";
  const auto golden = read_file(path);
  ASSERT_TRUE(golden.has_value()) << golden.error().message;
  EXPECT_EQ(golden_transcript(), *golden) << "a new golden must be explained in its commit";
}

}  // namespace
}  // namespace touchstone::simulator
