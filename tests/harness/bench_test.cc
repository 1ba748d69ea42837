// Figures are measured in turns, and judged as often right as is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/bootstrap.h"
#include "base/files.h"
#include "base/text.h"
#include "harness/bench/bench_compare.h"
#include "harness/bench/bench_runner.h"
#include "harness/bench/bench_suite.h"
#include "tests/harness/tiny_server.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using records::BenchRun;
using records::BenchSeries;
using result::Comparison;
using result::Verdict;
using ::testing::HasSubstr;

BenchRun run_of(std::vector<double> samples, bool higher_is_better = false,
                const std::string& session = "") {
  BenchRun run;
  run.session = session;
  run.series = {{"case/time", "s", higher_is_better, std::move(samples)}};
  return run;
}

Comparison::Change change_of(const BenchRun& base, const BenchRun& value, double effect_min) {
  const auto report = compare_bench_runs(base, value, "base", "new", {.effect_min = effect_min});
  return report.comparisons[0].rows.at(0).change;
}

TEST(BenchCompare, EachDirectionHasItsWord) {
  const std::vector<double> low = {1.00, 1.01, 0.99, 1.0, 1.02, 0.98};
  std::vector<double> high;
  for (const double x : low) high.push_back(x * 1.2);
  EXPECT_EQ(change_of(run_of(low), run_of(high), 0.02), Comparison::Change::kWorse);
  EXPECT_EQ(change_of(run_of(high), run_of(low), 0.02), Comparison::Change::kBetter);
  EXPECT_EQ(change_of(run_of(low, true), run_of(high, true), 0.02), Comparison::Change::kBetter);
  EXPECT_EQ(change_of(run_of(low, true), run_of(low, true), 0.05), Comparison::Change::kSame);
  EXPECT_EQ(change_of(run_of({1, 1, 1, 1}), run_of({9, 9, 9, 9}), 0.02),
            Comparison::Change::kUnknown)
      << "four repeats say nothing";
  EXPECT_EQ(change_of(run_of({0, 0, 0, 0, 0}), run_of(low), 0.02), Comparison::Change::kUnknown);
}

TEST(BenchCompare, AWorseFigureIsAFindingAndFails) {
  const auto report =
      compare_bench_runs(run_of({1, 1, 1, 1, 1}), run_of({2, 2, 2, 2, 2}), "base", "new", {});
  EXPECT_EQ(report.verdict, Verdict::kFail);
  EXPECT_EQ(result::exit_code(report), 1);
  EXPECT_THAT(report.checks[0].findings.at(0).message,
              HasSubstr("case/time is worse than in base: +100.0 %, with 95 % confidence"));
}

TEST(BenchCompare, NothingInCommonIsNoPass) {
  BenchRun other = run_of({1, 1, 1, 1, 1});
  other.series[0].name = "another";
  const auto report = compare_bench_runs(run_of({1, 1, 1, 1, 1}), other, "base", "new", {});
  EXPECT_EQ(report.verdict, Verdict::kUnknown);
  EXPECT_THAT(join(report.notes, ";"), HasSubstr("only in base: case/time"));
  EXPECT_EQ(compare_bench_runs({}, {}, "a", "b", {}).verdict, Verdict::kUnknown);
}

TEST(Bootstrap, PairsCancelWhatSlowsBoth) {
  std::vector<double> base, value;
  for (int i = 0; i < 20; ++i) {
    base.push_back(1 + i % 5);  // a machine that is up to five times as slow
    value.push_back(base.back() * 1.05);
  }
  const auto paired = median_ratio(base, value, true, 0.95);
  const auto apart = median_ratio(base, value, false, 0.95);
  ASSERT_TRUE(paired && apart);
  EXPECT_NEAR(paired->low, 1.05, 1e-9);
  EXPECT_NEAR(paired->high, 1.05, 1e-9);
  EXPECT_LT(apart->low, 1);
}

TEST(BenchSuite, BadInputSaysWhereAndWhat) {
  const auto problem = [](const std::string& text) {
    const auto suite = parse_bench_suite("s.yaml", text);
    return suite ? std::string() : suite.error().message;
  };
  const std::string subject = "subjects: [{name: a, url: \"http://x\"}]\n";
  EXPECT_EQ(problem("bench: 1\n" + subject + "cases: [{name: c, requests: 2}]\n"), "");
  EXPECT_THAT(problem(subject + "cases: [{name: c, requests: 2}]\n"), HasSubstr("bench"));
  EXPECT_THAT(problem("bench: 1\n" + subject), HasSubstr("cases: got none"));
  EXPECT_THAT(problem("bench: 1\n" + subject + "cases: [{name: c}]\n"),
              HasSubstr("got neither, expected one of program and requests"));
  EXPECT_THAT(problem("bench: 1\n" + subject + "cases: [{name: c, program: p}]\n"),
              HasSubstr("got no folder of subject a"));
  EXPECT_THAT(problem("bench: 1\nsubjects: [{name: ../a, url: u}]\ncases: []\n"),
              HasSubstr("without a slash"));
  EXPECT_THAT(problem("bench: 1\nrepeats: 0\n" + subject + "cases: [{name: c, requests: 1}]\n"),
              HasSubstr("repeats: got 0"));
}

TEST(BenchSuite, TheShippedOnesAreGood) {
  for (const std::string name : {"cpu", "servers"}) {
    const auto suite = read_bench_suite(support::source_dir() + "/bench/suites/" + name + ".yaml");
    EXPECT_TRUE(suite) << suite.error().message;
  }
}

class BenchFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("touchstone-bench-test");
    ASSERT_TRUE(made);
    folder_ = std::make_unique<TemporaryDirectory>(std::move(*made));
  }
  Result<BenchRun> read(const std::string& text) const {
    const std::string path = folder_->path() + "/figures.json";
    EXPECT_TRUE(write_file_atomic(path, text));
    return records::read_bench_run(path);
  }
  std::unique_ptr<TemporaryDirectory> folder_;
};

TEST_F(BenchFiles, ARunReadsAsItWasWritten) {
  BenchRun run = run_of({1, 2.5}, true, "session");
  run.subject = "base";
  run.facts = {{"cpu", "x"}};
  const auto again = read(records::to_json(run));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(records::to_json(*again), records::to_json(run));
}

TEST_F(BenchFiles, GoogleBenchmarkAndVllmAreRead) {
  const auto google = read(R"({"context":{},"benchmarks":[
    {"name":"f/repeats:2","run_name":"f","run_type":"iteration","real_time":5,"cpu_time":4,"time_unit":"us"},
    {"name":"f/repeats:2","run_name":"f","run_type":"iteration","real_time":7,"cpu_time":4,"time_unit":"us"},
    {"name":"f_mean","run_name":"f","run_type":"aggregate","real_time":6,"time_unit":"us"}]})");
  ASSERT_TRUE(google) << google.error().message;
  ASSERT_EQ(google->series.size(), 2u);
  ASSERT_EQ(google->series[0].samples.size(), 2u);
  EXPECT_DOUBLE_EQ(google->series[0].samples[1], 7e-6);
  EXPECT_EQ(google->series[1].name, "f cpu");
  const auto vllm = read(R"({"request_throughput":3.5,"mean_ttft_ms":20,"model_id":"m"})");
  ASSERT_TRUE(vllm) << vllm.error().message;
  ASSERT_EQ(vllm->series.size(), 2u);
  EXPECT_TRUE(vllm->series[0].higher_is_better);
  EXPECT_FALSE(vllm->series[1].higher_is_better);
}

TEST_F(BenchFiles, WhatIsNoneSaysWhatWasExpected) {
  for (const std::string text :
       {"", "[]", "{}", R"({"benchmarks":{}})", R"({"benchmarks":[{"name":7,"real_time":1}]})",
        R"({"bench_run":2})", R"({"bench_run":1,"series":[{"name":"x","samples":["a"]}]})",
        R"({"benchmarks":[{"name":"f","error_occurred":true,"error_message":"no GPU"}]})"}) {
    const auto run = read(text);
    ASSERT_FALSE(run) << text;
    EXPECT_THAT(run.error().message, HasSubstr("expected")) << text;
    EXPECT_THAT(run.error().message, HasSubstr("figures.json")) << text;
  }
}

TEST(BenchRunner, ALoadThatIsRefusedIsNoFigure) {
  TinyServer server;  // refuses prompts that it does not know
  BenchSuite suite;
  suite.subjects = {{.name = "tiny", .folder = "", .url = server.url(), .model = "tiny"}};
  BenchCase load;
  load.name = "burst";
  load.requests = 6;
  suite.cases = {load};
  const RealClock clock;
  const auto runs = run_bench(suite, {}, {.clock = clock});
  ASSERT_FALSE(runs);
  EXPECT_THAT(runs.error().message, HasSubstr("burst"));
  EXPECT_THAT(runs.error().message, HasSubstr("a request was not completed"));
}

TEST(BenchRunner, ProgramsRunInTurnsAndTheFirstRepeatIsThrownAway) {
  const auto folder = TemporaryDirectory::make("touchstone-bench-test");
  ASSERT_TRUE(folder);
  // A program that speaks as Google Benchmark does, and keeps a list of who ran.
  const std::string order = folder->path() + "/order";
  for (const std::string name : {"one", "two"}) {
    const std::string path = folder->path() + "/" + name;
    ASSERT_TRUE(make_directories(path));
    ASSERT_TRUE(
        write_file_atomic(path + "/bench_x", "#!/bin/sh\necho " + name + " >> " + order + R"(
echo '{"benchmarks":[{"name":"f","run_name":"f","real_time":3,"time_unit":"s"}]}'
)"));
    std::filesystem::permissions(path + "/bench_x", std::filesystem::perms::owner_all);
  }
  BenchSuite suite;
  suite.repeats = 2;
  suite.subjects = {{.name = "one", .folder = folder->path() + "/one", .url = "", .model = ""},
                    {.name = "two", .folder = folder->path() + "/two", .url = "", .model = ""}};
  BenchCase program;
  program.name = "x";
  program.program = "bench_x";
  suite.cases = {program};
  const RealClock clock;
  const auto runs = run_bench(suite, {}, {.clock = clock});
  ASSERT_TRUE(runs) << runs.error().message;
  ASSERT_EQ(runs->size(), 2u);
  for (const BenchRun& run : *runs) {
    ASSERT_EQ(run.series.size(), 1u);
    EXPECT_EQ(run.series[0].name, "x/f");
    EXPECT_THAT(run.series[0].samples, ::testing::ElementsAre(3, 3));
  }
  EXPECT_EQ(runs->at(0).session, runs->at(1).session);
  EXPECT_EQ(*read_file(order), "one\ntwo\ntwo\none\none\ntwo\n") << "who begins changes";
}

}  // namespace
}  // namespace touchstone::harness
