// Steps found again in the times of tokens, against the steps that made them; a model from counters
// alone, against the costs that made them.
#include "simulator/calibrate/recover_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "simulator/calibrate/calibrate.h"
#include "simulator/calibrate/counters_model.h"
#include "simulator/measured_run.h"
#include "tests/simulator/verb.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

class Recover : public ::testing::Test {
 protected:
  /// A run folder as `load --record` would leave it of a server without telemetry.
  std::string streamed(const std::string& flags) {
    const std::string folder = directory_.path() + "/run" + std::to_string(made_++);
    const Ran ran = run_touchstone(
        "simulate --num-gpu-blocks-override 400 --max-model-len 2048 "
        "--max-num-seqs 12 --max-num-batched-tokens 512 " +
            flags + " --output " + folder,
        kMessages);
    EXPECT_EQ(ran.exit_code, 0) << ran.text;
    truth_ = read_measured_run(folder).value().log;
    for (const char* file : {"steps.jsonl", "records.jsonl", "spans.otlp.jsonl"}) {
      std::filesystem::remove(folder + "/" + file);
    }
    return folder;
  }
  int64_t steps_with_output() const {
    int64_t count = 0;
    for (const records::StepRecord& step : truth_.steps) {
      count += std::any_of(step.requests.begin(), step.requests.end(),
                           [](const auto& r) { return r.samples; });
    }
    return count;
  }

  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-recover").value();
  records::StepLog truth_;
  int made_ = 0;
  const std::string load_ =
      "--requests 300 --prompt-tokens 20-400 --output-tokens 5-60 "
      "--steptime linear:12ms,60us,700us --seed 4 ";
  const std::string busy_ = load_ + "--rate 9 ";
};

TEST_F(Recover, EveryStepOfAStreamingServerRequestForRequest) {
  for (const char* more : {"", "--async-scheduling", "--hang-up-percent 20"}) {
    const auto load = read_measured_load(streamed(busy_ + more));
    ASSERT_TRUE(load.has_value()) << load.error().message;
    const auto found = recover_steps(*load);
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->output_steps, steps_with_output()) << more;
    EXPECT_GE(found->parity(), 0.999) << more;
    EXPECT_GT(std::ssize(found->steps), std::ssize(truth_.steps) / 3) << more;
    // What is believed is true: work and time of each are those of a logged step.
    std::multiset<std::tuple<int64_t, int64_t, int64_t, int64_t>> logged;
    for (const StepSample& s : step_samples(truth_)) {
      logged.insert({s.features.prefill_tokens, s.features.decode_requests,
                     s.features.context_tokens, s.duration_ns});
    }
    int64_t unknown = 0;
    for (const StepSample& s : found->steps) {
      const auto one = logged.find({s.features.prefill_tokens, s.features.decode_requests,
                                    s.features.context_tokens, s.duration_ns});
      if (one == logged.end()) {
        ++unknown;
      } else {
        logged.erase(one);
      }
    }
    EXPECT_LE(unknown, std::ssize(found->steps) / 200) << more;
  }
}

TEST_F(Recover, CalibrateLearnsTheCostsAndSaysTheParity) {
  const std::string folder = streamed(busy_);
  const auto report = calibrate({.runs = {folder}, .output = directory_.path() + "/m.json"});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_GE(report->figures.at("step_parity"), 0.999);
  const ModelFile file = read_model_file(directory_.path() + "/m.json").value();
  const StepTerms costs = std::get<StepTerms>(file.shape);
  EXPECT_NEAR(costs[0], 12e6, 0.02 * 12e6);
  EXPECT_NEAR(costs[1], 60e3, 0.05 * 60e3);
  EXPECT_NEAR(costs[2], 700e3, 0.05 * 700e3);
}

/// Another server than the flags say: what is recovered would be wrong, so it is refused.
TEST_F(Recover, BelowNinetyNineOfAHundredNothingIsBelieved) {
  const std::string folder = streamed(load_ + "--rate 14 ");
  std::string server = read_file(folder + "/server.json").value();
  const size_t at = server.find("\"max_num_seqs\": 12");
  ASSERT_NE(at, std::string::npos) << server;
  server.replace(at, 18, "\"max_num_seqs\": 6");
  ASSERT_TRUE(write_file_atomic(folder + "/server.json", server).has_value());
  const auto refused = calibrate({.runs = {folder}, .output = directory_.path() + "/m.json"});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("expected at least 99 %"));
  EXPECT_THAT(refused.error().message, HasSubstr("steps from the times of tokens: "));
  EXPECT_FALSE(std::filesystem::exists(directory_.path() + "/m.json"));
}

class Counters : public Recover {
 protected:
  std::string counters(const std::string& flags) {
    const std::string folder = streamed(flags);
    std::filesystem::remove(folder + "/requests.jsonl");
    EXPECT_TRUE(has_counters_alone(folder));
    return folder;
  }
};

TEST_F(Counters, OfTwoLoadsTellTheCostsCoarselyAndSaySo) {
  const std::string shape =
      "--prompt-tokens 200-400 --output-tokens 30-60 --steptime linear:12ms,60us,700us ";
  const std::string light = counters("--requests 150 --rate 1 " + shape);
  const std::string heavy = counters("--requests 300 --rate 5 " + shape);
  const auto report = calibrate({.runs = {light, heavy}, .output = directory_.path() + "/m.json"});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_THAT(report->notes, testing::Contains(HasSubstr("learned from counters alone")));
  const StepTerms costs =
      std::get<StepTerms>(read_model_file(directory_.path() + "/m.json").value().shape);
  EXPECT_NEAR(costs[0], 12e6, 0.15 * 12e6);
  EXPECT_NEAR(costs[1], 60e3, 0.3 * 60e3);
  EXPECT_NEAR(costs[2], 700e3, 0.4 * 700e3);
}

TEST_F(Counters, OfOneLoadTellTwoCostsAndAnIdleServerNone) {
  const std::string one = counters("--requests 150 --rate 1 --steptime linear:12ms,60us,700us");
  const auto report = calibrate({.runs = {one}, .output = directory_.path() + "/m.json"});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_THAT(report->notes, testing::Contains(HasSubstr("nothing was said of: decode request")));
  ASSERT_TRUE(
      write_file_atomic(one + "/metrics.txt", read_file(one + "/metrics_before.txt").value())
          .has_value());
  const auto idle = calibrate({.runs = {one}, .output = directory_.path() + "/n.json"});
  ASSERT_FALSE(idle.has_value());
  EXPECT_THAT(idle.error().message, HasSubstr("got counters that did not rise"));
}

}  // namespace
}  // namespace touchstone::simulator
