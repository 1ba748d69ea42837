#include "simulator/replay.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/random.h"
#include "tests/simulator/support.h"
#include "workload/generate.h"

namespace touchstone::simulator {
namespace {

struct LoggedRun {
  records::StepLog log;
  std::vector<records::RequestRecord> records;
};

/// A simulated run with shared prefixes, hang-ups, priorities and a tight pool.
LoggedRun random_run(uint64_t seed, bool planned_ahead = false) {
  RandomStream random(seed, "replay");
  scheduler::Config config;
  config.async_scheduling = planned_ahead;
  config.block_size = static_cast<int32_t>(random.between(1, 16));
  config.max_model_len = 160;
  config.num_blocks = 2 + 160 / config.block_size + random.between(1, 200 / config.block_size);
  config.max_num_seqs = static_cast<int32_t>(random.between(1, 12));
  config.enable_chunked_prefill = random.chance(3, 4);
  config.max_num_batched_tokens = static_cast<int32_t>(
      random.between(config.enable_chunked_prefill ? config.max_num_seqs : 160, 200));
  config.enable_prefix_caching = random.chance(4, 5);
  config.long_prefill_token_threshold =
      random.chance(1, 4) ? static_cast<int32_t>(random.between(1, 50)) : 0;
  config.policy = random.chance(1, 2) ? scheduler::Policy::kFcfs : scheduler::Policy::kPriority;
  auto load = workload::generate({.seed = seed,
                                  .requests = 40,
                                  .rate_per_s = 100,
                                  .prompt_tokens = {.low = 2, .high = 100},
                                  .output_tokens = {.low = 1, .high = 60},
                                  .prefixes = 3,
                                  .prefix_tokens = 48,
                                  .prefix_block_size = config.block_size})
                  .value();
  for (workload::Request& r : load.requests) {
    r.priority = random.between(0, 2);
    if (random.chance(1, 5)) r.sampling.n = random.between(2, 3);
  }
  const auto source = make_workload_source(load, config);
  std::vector<SimulatedRequest> requests;
  SimulatedRequest request;
  while (source->next(request).value()) {
    if (random.chance(1, 5)) {
      request.abort_ns = request.request.arrival_ns + random.between(0, 200'000'000);
    }
    request.request.skip_reading_prefix_cache = random.chance(1, 10);
    requests.push_back(request);
  }
  ListSource list(requests);
  const auto model = make_linear_step_time({2'000'000, 30'000, 200'000});
  Keeper keeper;
  EXPECT_TRUE(run_simulation(config, list, *model, keeper).has_value());
  return {log_of(keeper, config), keeper.requests};
}

/// INV-9.
RC_GTEST_PROP(Replay, OfARunGivesTheRun, (uint64_t seed, bool planned_ahead)) {
  const LoggedRun run = random_run(seed, planned_ahead);
  const auto replay = replay_step_log(run.log, run.records);
  RC_ASSERT(replay.has_value());
  if (replay->difference) {
    RC_FAIL("step " + std::to_string(replay->difference->step) + " " + replay->difference->what);
  }
  RC_ASSERT(replay->steps.size() == run.log.steps.size());
  for (size_t i = 0; i < replay->steps.size(); ++i) {
    RC_ASSERT(to_json_line(replay->steps[i]) == to_json_line(run.log.steps[i]));
  }
}

class ReplayTimes : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(PlannedAhead, ReplayTimes, ::testing::Bool());

TEST_P(ReplayTimes, OfRequestsAreReproduced) {
  const LoggedRun run = random_run(3, GetParam());
  const auto replay = replay_step_log(run.log, run.records);
  ASSERT_TRUE(replay.has_value());
  std::map<uint64_t, records::RequestRecord> replayed;
  for (const records::RequestRecord& r : replay->requests) replayed[r.id] = r;
  for (const records::RequestRecord& r : run.records) {
    if (!replayed.contains(r.id)) continue;  // aborted after the last step
    const records::RequestRecord& times = replayed[r.id];
    EXPECT_EQ(times.first_scheduled_ns, r.first_scheduled_ns) << r.id;
    EXPECT_EQ(times.first_token_ns, r.first_token_ns) << r.id;
    EXPECT_EQ(times.finished_ns, r.finished_ns) << r.id;
    EXPECT_EQ(times.cached_tokens, r.cached_tokens) << r.id;
    EXPECT_EQ(times.preemptions, r.preemptions) << r.id;
  }
}

TEST(Replay, EveryChangeOfTheLogIsFoundWhereItIs) {
  using Step = records::StepRecord;
  const std::pair<const char*, std::function<void(Step&)>> rows[] = {
      {"step", [](Step& s) { ++s.step; }},
      {"preempted", [](Step& s) { s.preempted.push_back(1); }},
      {"scheduled requests", [](Step& s) { s.requests[0].id += 100; }},
      {"scheduled requests", [](Step& s) { s.requests.push_back(s.requests[0]); }},
      {"cached", [](Step& s) { ++s.requests[0].cached; }},
      {"computed", [](Step& s) { ++s.requests[0].computed; }},
      {"scheduled", [](Step& s) { ++s.requests[0].scheduled; }},
      {"samples", [](Step& s) { s.requests[0].samples ^= true; }},
      {"prefill", [](Step& s) { s.requests[0].prefill ^= true; }},
      {"running", [](Step& s) { ++s.running; }},
      {"waiting", [](Step& s) { ++s.waiting; }},
      {"free_blocks", [](Step& s) { --s.free_blocks; }},
      {"cached_blocks", [](Step& s) { ++s.cached_blocks; }},
      {"finished",
       [](Step& s) {
         s.finished.push_back({1, "length"});
       }},
  };
  const LoggedRun run = random_run(1);
  const size_t at = run.log.steps.size() / 2;
  for (const auto& [what, change] : rows) {
    records::StepLog log = run.log;
    change(log.steps[at]);
    const auto replay = replay_step_log(log, run.records);
    ASSERT_TRUE(replay.has_value()) << what;
    ASSERT_TRUE(replay->difference.has_value()) << what;
    EXPECT_EQ(replay->difference->what, what);
    EXPECT_EQ(replay->difference->step, log.steps[at].step) << what;
  }
}

TEST(Replay, ALostInputIsFound) {
  LoggedRun run = random_run(1);
  for (auto& step : run.log.steps) {
    if (step.step < 5 || step.inputs.empty()) continue;
    step.inputs.clear();
    break;
  }
  const auto replay = replay_step_log(run.log, run.records);
  ASSERT_TRUE(replay.has_value());
  EXPECT_TRUE(replay->difference.has_value());
}

TEST(Replay, AStepThatCouldHaveBeenPlannedAheadAndWasNotIsFound) {
  scheduler::Config config = small_config();
  config.async_scheduling = true;
  ListSource source({simulated(1, 0, 8, 3)});
  Keeper keeper;
  ASSERT_TRUE(run_simulation(config, source, *make_constant_step_time(10), keeper).has_value());
  records::StepLog log = log_of(keeper, config);
  ASSERT_EQ(log.steps.size(), 3u);
  EXPECT_FALSE(replay_step_log(log, keeper.requests)->difference.has_value());
  // As if the second step had been planned when the first was complete.
  log.steps[1].inputs = {{records::StepInput::Kind::kComplete, 0, 10}};
  log.steps[2].inputs = {{records::StepInput::Kind::kComplete, 1, 20}};
  const auto replay = replay_step_log(log, keeper.requests);
  ASSERT_TRUE(replay.has_value()) << replay.error().message;
  ASSERT_TRUE(replay->difference.has_value());
  EXPECT_EQ(replay->difference->what, "scheduled requests");
  EXPECT_EQ(replay->difference->before, "[]");
  EXPECT_EQ(replay->difference->after, "[1]");
}

TEST(Replay, ACompletionThatIsMissingOrOutOfOrderIsAnError) {
  LoggedRun run = random_run(1, true);
  const auto is_complete = [](const records::StepInput& input) {
    return input.kind == records::StepInput::Kind::kComplete;
  };
  for (auto& step : run.log.steps) std::erase_if(step.inputs, is_complete);
  auto replay = replay_step_log(run.log, run.records);
  ASSERT_FALSE(replay.has_value());
  EXPECT_NE(replay.error().message.find("got no completion of step 0"), std::string::npos)
      << replay.error().message;
  run = random_run(1, true);
  for (auto& step : run.log.steps) {
    for (auto& input : step.inputs) input.id += is_complete(input) ? 1 : 0;
  }
  replay = replay_step_log(run.log, run.records);
  ASSERT_FALSE(replay.has_value());
  EXPECT_NE(replay.error().message.find("got the completion of step 1"), std::string::npos)
      << replay.error().message;
  run = random_run(1);
  run.log.steps[1].inputs.push_back({records::StepInput::Kind::kComplete, 0, 0});
  EXPECT_FALSE(replay_step_log(run.log, run.records).has_value()) << "none is planned ahead";
}

TEST(Replay, AnInputWithoutRecordIsAnError) {
  LoggedRun run = random_run(1);
  const uint64_t id = run.log.steps[0].inputs[0].id;
  std::erase_if(run.records, [id](const auto& r) { return r.id == id; });
  const auto replay = replay_step_log(run.log, run.records);
  ASSERT_FALSE(replay.has_value());
  EXPECT_NE(replay.error().message.find("no record of request " + std::to_string(id)),
            std::string::npos);
}

TEST(Replay, ABadHeaderOrHashIsAnError) {
  LoggedRun run = random_run(1);
  run.log.header.config["num_blocks"] = int64_t{1};
  EXPECT_FALSE(replay_step_log(run.log, run.records).has_value());
  run = random_run(1);
  run.log.header.config["policy"] = std::string("lifo");
  EXPECT_FALSE(replay_step_log(run.log, run.records).has_value());
  run = random_run(1);
  run.records[0].block_hashes = {"xyz"};
  EXPECT_FALSE(replay_step_log(run.log, run.records).has_value());
}

}  // namespace
}  // namespace touchstone::simulator
