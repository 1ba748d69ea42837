// Steps planned one ahead (asynchronous scheduling) in virtual time.
#include <gtest/gtest.h>

#include <algorithm>

#include "simulator/simulation.h"
#include "simulator/steptime/recorded.h"
#include "tests/simulator/support.h"
#include "workload/generate.h"

namespace touchstone::simulator {
namespace {

scheduler::Config ahead(scheduler::Config config) {
  config.async_scheduling = true;
  return config;
}

Keeper simulate_list(const scheduler::Config& config, const std::vector<SimulatedRequest>& requests,
                     const StepTimeModel& model) {
  ListSource source(requests);
  Keeper keeper;
  EXPECT_TRUE(run_simulation(config, source, model, keeper).has_value());
  return keeper;
}

const records::RequestRecord& record_of(const Keeper& keeper, uint64_t id) {
  return *std::ranges::find(keeper.requests, id, &records::RequestRecord::id);
}

/// Steps of 10. The first request keeps the server busy from 0 on; the second arrives at 15, in the
/// middle of the step from 10 to 20. Step by step it is in the step from 20 to 30. Planned ahead,
/// that step was planned at 10: it is planned at 20 and computed from 30 to 40.
TEST(PlannedAhead, WhoeverArrivesDuringAStepWaitsForOneStepMore) {
  const auto model = make_constant_step_time(10);
  const std::vector<SimulatedRequest> requests = {simulated(1, 0, 8, 6), simulated(2, 15, 8, 2)};
  const Keeper one_by_one = simulate_list(small_config(), requests, *model);
  EXPECT_EQ(record_of(one_by_one, 2).first_scheduled_ns, 20);
  EXPECT_EQ(record_of(one_by_one, 2).first_token_ns, 30);

  const Keeper keeper = simulate_list(ahead(small_config()), requests, *model);
  const records::RequestRecord& second = record_of(keeper, 2);
  EXPECT_EQ(second.queued_ns, 20);
  EXPECT_EQ(second.first_scheduled_ns, 20);
  EXPECT_EQ(second.first_token_ns, 40);
  EXPECT_EQ(second.finished_ns, 50);
  ASSERT_EQ(second.prefill_chunks.size(), 1u);
  EXPECT_EQ(second.prefill_chunks[0].start_ns, 30);
  EXPECT_EQ(second.prefill_chunks[0].end_ns, 40);
  EXPECT_EQ(record_of(keeper, 1).first_token_ns, 10);
  EXPECT_EQ(record_of(keeper, 1).finished_ns, 60) << "six tokens: nothing is computed in vain";
  ASSERT_EQ(keeper.steps.size(), 6u);
  for (int64_t i = 0; i < 6; ++i) {
    const records::StepRecord& step = keeper.steps[static_cast<size_t>(i)];
    EXPECT_EQ(step.planned_ns, i == 0 ? 0 : 10 * (i - 1)) << i;
    EXPECT_EQ(step.start_ns, 10 * i);
    EXPECT_EQ(step.duration_ns, 10);
  }
}

/// One token each: nothing can be planned ahead of it, so a server that is never idle looks at its
/// queue when the step ends, not when the second request arrives.
TEST(PlannedAhead, AVainPlanWaitsForTheEndOfTheStep) {
  const auto model = make_constant_step_time(10);
  const Keeper keeper =
      simulate_list(ahead(small_config()), {simulated(1, 0, 8, 1), simulated(2, 5, 8, 1)}, *model);
  EXPECT_EQ(record_of(keeper, 2).first_scheduled_ns, 10);
  EXPECT_EQ(record_of(keeper, 2).first_token_ns, 20);
}

/// Planned at 10 while the client was still there; hangs up at 12, which is seen at 20.
TEST(PlannedAhead, AStepInFlightIsComputedForOneThatHungUp) {
  const auto model = make_constant_step_time(10);
  SimulatedRequest gone = simulated(1, 0, 8, 100);
  gone.abort_ns = 12;
  const Keeper keeper = simulate_list(ahead(small_config()), {gone}, *model);
  ASSERT_EQ(keeper.requests.size(), 1u);
  EXPECT_EQ(keeper.requests[0].outcome, records::Outcome::kAbort);
  EXPECT_EQ(keeper.requests[0].finished_ns, 20);
  EXPECT_EQ(keeper.requests[0].completion_tokens, 2);
  ASSERT_EQ(keeper.steps.size(), 3u) << "the third was in flight";
  EXPECT_EQ(keeper.steps[2].start_ns, 20);
}

/// The recorded durations give the run again, byte for byte.
TEST(PlannedAhead, RecordedDurationsGiveTheRunAgain) {
  scheduler::Config config = ahead(small_config());
  config.num_blocks = 60;  // tight: preemptions
  const workload::GenerateOptions load{.seed = 5,
                                       .requests = 200,
                                       .rate_per_s = 60,
                                       .prompt_tokens = {.low = 4, .high = 100},
                                       .output_tokens = {.low = 1, .high = 60}};
  const auto run = [&](const StepTimeModel& model) {
    const auto source = make_workload_source(generator_feed(load), config);
    Keeper keeper;
    EXPECT_TRUE(run_simulation(config, *source, model, keeper).has_value());
    return keeper;
  };
  const Keeper first = run(*make_linear_step_time({3'000'000, 50'000, 400'000}));
  std::vector<int64_t> durations;
  int64_t preemptions = 0;
  for (const records::StepRecord& step : first.steps) {
    durations.push_back(step.duration_ns);
    preemptions += std::ssize(step.preempted);
  }
  EXPECT_GT(preemptions, 0);
  const Keeper again = run(*make_recorded_step_time(durations));
  ASSERT_EQ(again.steps.size(), first.steps.size());
  for (size_t i = 0; i < first.steps.size(); ++i) {
    EXPECT_EQ(to_json_line(again.steps[i]), to_json_line(first.steps[i]));
  }
}

}  // namespace
}  // namespace touchstone::simulator
