#include "simulator/compare.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/simulator/support.h"
#include "workload/generate.h"

namespace touchstone::simulator {
namespace {

/// A folder as serve and check leave it, from a run of the simulator.
class Comparison : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.max_model_len = 160;
    config_.num_blocks = 60;
    const auto source =
        make_workload_source(generator_feed({.seed = 2,
                                             .requests = 60,
                                             .rate_per_s = 60,
                                             .prompt_tokens = {.low = 2, .high = 100},
                                             .output_tokens = {.low = 1, .high = 50},
                                             .prefixes = 2,
                                             .prefix_tokens = 32,
                                             .prefix_block_size = 4}),
                             config_);
    const auto model = make_linear_step_time({3'000'000, 40'000, 300'000});
    ASSERT_TRUE(run_simulation(config_, *source, *model, keeper_).has_value());
  }

  void write(const records::StepLog& log) {
    std::string steps = to_json_line(log.header) + "\n";
    for (const auto& step : log.steps) steps += to_json_line(step) + "\n";
    std::string records;
    for (const auto& r : keeper_.requests) records += to_json_line(r) + "\n";
    ASSERT_TRUE(write_file_atomic(directory_.path() + "/steps.jsonl", steps).has_value());
    ASSERT_TRUE(write_file_atomic(directory_.path() + "/records.jsonl", records).has_value());
  }

  scheduler::Config config_ = small_config();
  Keeper keeper_;
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-compare").value();
};

TEST_F(Comparison, AnEqualScheduleAndEqualFiguresPass) {
  write(log_of(keeper_, config_));
  result::Report report;
  const Status done = add_comparison(directory_.path(), report);
  ASSERT_TRUE(done.has_value()) << done.error().message;
  ASSERT_EQ(report.checks.size(), 1u);
  EXPECT_EQ(report.checks[0].id, "simulation.schedule_parity");
  EXPECT_EQ(report.checks[0].verdict, result::Verdict::kPass);
  EXPECT_EQ(report.checks[0].examined, std::ssize(keeper_.steps));
  ASSERT_EQ(report.tables.size(), 1u);
  EXPECT_EQ(report.tables[0].columns, (std::vector<std::string>{"measured", "recorded", "fitted"}));
  ASSERT_EQ(report.tables[0].rows.size(), 9u);
  for (const result::Figure& row : report.tables[0].rows) {
    EXPECT_EQ(row.values[0].value, row.values[1].value) << row.name;
    // The steps were made by a linear model, which the fit finds again.
    EXPECT_NEAR(row.values[2].value, row.values[0].value, 0.01 * row.values[0].value) << row.name;
  }
  EXPECT_GT(report.tables[0].rows[1].values[0].value, 0) << "preemptions";
  EXPECT_GT(report.tables[0].rows[3].values[0].value, 0) << "prefix hits";
  EXPECT_EQ(report.charts.size(), 5u);
  for (const result::Chart& chart : report.charts) {
    ASSERT_EQ(chart.series.size(), 2u) << chart.title;
    for (const result::Series& series : chart.series) {
      EXPECT_FALSE(series.x.empty()) << chart.title;
      EXPECT_EQ(series.x.size(), series.y.size()) << chart.title;
    }
  }
}

TEST_F(Comparison, ADifferentScheduleFailsAndNamesStepAndRequest) {
  records::StepLog log = log_of(keeper_, config_);
  log.steps[7].requests[0].computed += 1;
  write(log);
  result::Report report;
  ASSERT_TRUE(add_comparison(directory_.path(), report).has_value());
  EXPECT_EQ(report.checks[0].verdict, result::Verdict::kFail);
  ASSERT_EQ(report.checks[0].findings.size(), 1u);
  const result::Finding& finding = report.checks[0].findings[0];
  EXPECT_EQ(finding.context.at("step"), "7");
  EXPECT_EQ(finding.places.at(0).request, std::to_string(log.steps[7].requests[0].id));
}

TEST_F(Comparison, ALogWithoutStepsDecidesNothing) {
  keeper_ = Keeper();
  write(log_of(keeper_, config_));
  result::Report report;
  ASSERT_TRUE(add_comparison(directory_.path(), report).has_value());
  EXPECT_EQ(report.checks[0].verdict, result::Verdict::kUnknown);
  EXPECT_EQ(report.tables[0].columns.size(), 2u) << "nothing to fit";
}

TEST_F(Comparison, AMissingFileIsNotFound) {
  result::Report report;
  const Status done = add_comparison(directory_.path(), report);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace touchstone::simulator
