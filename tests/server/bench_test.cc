// `touchstone bench` on a real server, as its user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/text.h"
#include "harness/process/capture.h"
#include "records/bench_run.h"
#include "tests/support/paths.h"
#include "tests/support/server_process.h"

namespace touchstone::testing {
namespace {

using ::testing::HasSubstr;

TEST(ServeBench, AServerIsMeasuredAndComparedWithItself) {
  const ServerProcess server({.model = support::source_dir() + "/fixtures/models/touchstone-tiny",
                              .flags = {},
                              .environment = {}});
  ASSERT_TRUE(server.ready()) << server.problem();
  const RealClock clock;
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {support::touchstone_binary(), "bench"});
    auto ran = harness::run_and_capture({.name = "bench", .argv = std::move(arguments)},
                                        {.clock = clock}, 120 * kNsPerSecond);
    EXPECT_TRUE(ran) << ran.error().message;
    return *ran;
  };
  const std::string url = "http://127.0.0.1:" + std::to_string(server.port());
  ASSERT_TRUE(write_file_atomic(server.path("suite.yaml"),
                                "bench: 1\nrepeats: 5\nsubjects: [{name: base, url: \"" + url +
                                    "\"}, {name: new, url: \"" + url +
                                    "\"}]\ncases: [{name: burst, requests: 4, concurrency: 2, "
                                    "prompt_tokens: 20, output_tokens: 6}]\n"));
  const auto measured = run({"run", server.path("suite.yaml"), "--output", server.path("runs")});
  EXPECT_EQ(measured.status.code, 0) << measured.errors;
  const auto base = records::read_bench_run(server.path("runs/base.json"));
  ASSERT_TRUE(base) << base.error().message;
  std::vector<std::string> names;
  for (const auto& series : base->series) {
    names.push_back(series.name);
    EXPECT_EQ(series.samples.size(), 5u) << series.name;
  }
  EXPECT_THAT(names, ::testing::IsSupersetOf({"burst/output throughput", "burst/ttft p50",
                                              "burst/tpot p50", "burst/e2e p95"}));
  // Two files of the same figures, one of them made twice as slow.
  const auto same = run({"compare", server.path("runs/base.json"), server.path("runs/base.json")});
  EXPECT_EQ(same.status.code, 0) << same.output;
  auto slower = *base;
  for (auto& series : slower.series) {
    for (double& sample : series.samples) sample *= series.higher_is_better ? 0.5 : 2;
  }
  ASSERT_TRUE(write_file_atomic(server.path("slower.json"), records::to_json(slower)));
  const auto worse = run({"compare", server.path("runs/base.json"), server.path("slower.json")});
  EXPECT_EQ(worse.status.code, 1) << worse.output;
  EXPECT_THAT(worse.output, HasSubstr("burst/ttft p50"));
  EXPECT_EQ(run({"compare", "none.json", "none.json"}).status.code, 2);
}

}  // namespace
}  // namespace touchstone::testing
