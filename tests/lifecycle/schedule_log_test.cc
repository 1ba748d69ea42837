#include "reference_engine/lifecycle/schedule_log.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"
#include "reference_engine/scheduler/block_hash.h"
#include "reference_engine/scheduler/scheduler.h"

namespace touchstone::lifecycle {
namespace {

scheduler::Config random_config(RandomStream& random) {
  scheduler::Config config;
  config.block_size = static_cast<int32_t>(random.between(1, 64));
  config.max_model_len = static_cast<int32_t>(random.between(64, 4096));
  config.num_blocks = 2 + config.max_model_len / config.block_size + random.between(1, 1000);
  config.max_num_seqs = static_cast<int32_t>(random.between(1, 64));
  config.max_num_batched_tokens = static_cast<int32_t>(random.between(4096, 9000));
  config.enable_prefix_caching = random.chance(1, 2);
  config.enable_chunked_prefill = random.chance(1, 2);
  config.reserve_full_prompt = random.chance(1, 2);
  config.async_scheduling = random.chance(1, 2);
  config.max_loras = static_cast<int32_t>(random.between(1, 9));
  config.policy = random.chance(1, 2) ? scheduler::Policy::kFcfs : scheduler::Policy::kPriority;
  return config;
}

RC_GTEST_PROP(ScheduleLog, AHeaderGivesItsConfigurationBack, (uint64_t seed)) {
  RandomStream random(seed, "schedule log");
  const records::StepLogHeader header = header_of(random_config(random), "virtual");
  const auto config = config_of(header);
  RC_ASSERT(config.has_value());
  RC_ASSERT(to_json_line(header_of(*config, "virtual")) == to_json_line(header));
}

TEST(ScheduleLog, AHeaderThatIsNoConfigurationSaysWhy) {
  RandomStream random(1, "schedule log");
  const records::StepLogHeader good = header_of(random_config(random), "monotonic");
  records::StepLogHeader bad = good;
  bad.config["policy"] = std::string("lifo");
  EXPECT_EQ(config_of(bad).error().message,
            "step log: policy: got \"lifo\", expected fcfs or priority");
  bad = good;
  bad.config["max_num_seqs"] = int64_t{1} << 40;
  EXPECT_EQ(config_of(bad).error().message,
            "step log: max_num_seqs: got 1099511627776, expected 1 to 2147483647");
  bad = good;
  bad.config["block_size"] = true;
  EXPECT_EQ(config_of(bad).error().message, "step log: block_size: got true, expected a number");
  bad = good;
  bad.config.erase("num_blocks");
  EXPECT_EQ(config_of(bad).error().message,
            "step log: num_blocks: got none, expected the field of the scheduler's configuration");
}

TEST(ScheduleLog, AHeaderOlderThanAFieldHasItsDefaultAndANewerOnesFieldsAreIgnored) {
  RandomStream random(2, "schedule log");
  records::StepLogHeader header = header_of(random_config(random), "monotonic");
  for (const scheduler::ConfigField& field : scheduler::config_fields()) {
    if (!field.in_first_logs) header.config.erase(std::string(field.name));
  }
  header.config["gpu_feature"] = std::string("new");
  const auto config = config_of(header);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_FALSE(config->async_scheduling);
}

TEST(ScheduleLog, APlanIsWrittenAsItWasDecided) {
  const scheduler::Config config{.num_blocks = 20,
                                 .block_size = 4,
                                 .max_num_seqs = 4,
                                 .max_num_batched_tokens = 8,
                                 .max_model_len = 32};
  scheduler::Scheduler scheduler(config);
  ASSERT_TRUE(
      scheduler.add({.id = 7, .num_prompt_tokens = 10, .max_tokens = 1, .ignore_eos = true}));
  const scheduler::StepPlan* plan = &scheduler.schedule();
  records::StepRecord first;
  add_plan(*plan, scheduler.state(), first);
  EXPECT_EQ(first.step, 0);
  ASSERT_EQ(first.requests.size(), 1u);
  EXPECT_EQ(first.requests[0].id, 7u);
  EXPECT_EQ(first.requests[0].scheduled, 8);
  EXPECT_TRUE(first.requests[0].prefill);
  EXPECT_FALSE(first.requests[0].samples);
  EXPECT_EQ(first.running, 1);
  add_finished(scheduler.complete({}), first);
  EXPECT_TRUE(first.finished.empty());

  plan = &scheduler.schedule();
  records::StepRecord second;
  add_plan(*plan, scheduler.state(), second);
  EXPECT_EQ(second.requests[0].computed, 8);
  EXPECT_EQ(second.requests[0].scheduled, 2);
  EXPECT_TRUE(second.requests[0].samples);
  const std::vector<scheduler::SampledToken> sampled = {{7, 3, false}};
  add_finished(scheduler.complete(sampled), second);
  ASSERT_EQ(second.finished.size(), 1u);
  EXPECT_EQ(second.finished[0].id, 7u);
  EXPECT_EQ(second.finished[0].reason, "length");
}

}  // namespace
}  // namespace touchstone::lifecycle
