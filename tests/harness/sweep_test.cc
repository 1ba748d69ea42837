// Every combination of a grid: points as programs, resumed, alone with equal bytes.
#include "harness/sweep/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "harness/sweep/grid.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using ::testing::HasSubstr;

class Sweep : public ::testing::Test {
 protected:
  std::string grid(const std::string& text) {
    const std::string path = directory_.path() + "/grid.yaml";
    EXPECT_TRUE(write_file_atomic(path, text).has_value());
    return path;
  }
  Result<SweepOutcome> sweep(const std::string& path) {
    return run_sweep({.grid_path = path,
                      .output = directory_.path() + "/out",
                      .program = support::touchstone_binary(),
                      .threads = 2,
                      .progress = {}},
                     clock_);
  }
  std::string point(int index, const char* extension = ".json") const {
    return directory_.path() + "/out/points/0000" + std::to_string(index) + extension;
  }
  TemporaryDirectory directory_ = TemporaryDirectory::make("touchstone-sweep").value();
  const RealClock clock_;
  const std::string small_ =
      "sweep: 1\n"
      "flags: {requests: 40, rate: 20, steptime: \"constant:10ms\", num-gpu-blocks-override: 500,\n"
      "        max-model-len: 2048, enable-prefix-caching: false}\n"
      "grid: {replicas: [1, 2], max-num-seqs: [2, 8]}\n";
};

TEST_F(Sweep, ThePointsAreAllCombinationsTheLastKeyFastest) {
  const auto grid = read_grid(this->grid(small_));
  ASSERT_TRUE(grid.has_value()) << grid.error().message;
  EXPECT_EQ(grid->points(), 4);
  EXPECT_EQ(grid->values(0), (std::vector<std::string>{"2", "1"}));
  EXPECT_EQ(grid->values(1), (std::vector<std::string>{"2", "2"}));
  EXPECT_EQ(grid->values(3), (std::vector<std::string>{"8", "2"}));
  EXPECT_THAT(join(grid->command(1), " "),
              HasSubstr("--no-enable-prefix-caching --max-model-len=2048"));
  EXPECT_THAT(join(grid->command(1), " "), HasSubstr("--max-num-seqs=2 --replicas=2"));
}

TEST_F(Sweep, KeepsWhatIsDoneAndRunsAPointAgainWithEqualBytes) {
  const std::string path = grid(small_);
  const auto first = sweep(path);
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->ran, 4);
  EXPECT_EQ(first->failed, 0);
  std::set<std::string> different;
  for (int i = 0; i < 4; ++i) different.insert(read_file(point(i)).value());
  EXPECT_GE(different.size(), 3u) << "the points are not one simulation four times";
  const std::string kept = read_file(point(2)).value();
  ASSERT_TRUE(std::filesystem::remove(point(2)));
  const auto again = sweep(path);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->ran, 1) << "only what was missing";
  EXPECT_EQ(read_file(point(2)).value(), kept);
  EXPECT_EQ(run_point(*read_grid(path), 2, support::touchstone_binary(), clock_).value(), kept);
  const std::string csv = read_file(again->csv_path).value();
  EXPECT_THAT(csv, HasSubstr("point,max-num-seqs,replicas,Simulation: requests completed,"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
  EXPECT_THAT(csv, HasSubstr("\n2,8,1,40,"));
}

TEST_F(Sweep, AnotherGridsFolderIsRefused) {
  ASSERT_TRUE(sweep(grid(small_)).has_value());
  const auto other = sweep(grid(small_ + "verb: simulate\n"));
  EXPECT_TRUE(other.has_value()) << "the same points";
  std::string changed = small_;
  changed.replace(changed.find("rate: 20"), 8, "rate: 21");
  const auto refused = sweep(grid(changed));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("points of another grid"));
}

TEST_F(Sweep, APointThatFailsIsKeptWithItsMessageAndTheOthersRun) {
  const auto outcome = sweep(
      grid("sweep: 1\nflags: {requests: 20, steptime: \"constant:10ms\", max-model-len: 2048}\n"
           "grid: {num-gpu-blocks-override: [3, 500]}\n"));
  ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
  EXPECT_EQ(outcome->failed, 1);
  EXPECT_THAT(read_file(point(0, ".error")).value(), HasSubstr("num_blocks: got 3"));
  EXPECT_TRUE(std::filesystem::exists(point(1)));
}

TEST_F(Sweep, BadGridsAreNamedWithTheirLine) {
  const std::pair<const char*, const char*> rows[] = {
      {"sweep: 2\ngrid: {a: [1]}\n", "grid.yaml:1: sweep: got another version"},
      {"sweep: 1\n", "grid.yaml:1: missing key \"grid\""},
      {"sweep: 1\ngrid: {}\n", "grid.yaml:2: grid: got no list"},
      {"sweep: 1\ngrid:\n  rate: 3\n", "grid.yaml:3: grid.rate: got no list of values"},
      {"sweep: 1\ngrid:\n  rate: [3, 3]\n", "grid.rate: got 3, expected single values, each once"},
      {"sweep: 1\ngrid:\n  rate: [[3]]\n", "grid.rate: got [3], expected single values"},
      {"sweep: 1\nflags: {rate: 1}\ngrid: {rate: [3]}\n", "got \"rate\" in flags too"},
      {"sweep: 1\ngrid: {format: [json]}\n", "got a flag that the sweep sets"},
      {"sweep: 1\ngrid: {--rate: [1]}\n", "got dashes"},
      {"sweep: 1\nverb: serve\ngrid: {rate: [1]}\n", "verb: got \"serve\", expected one of"},
      {"sweep: 1\ngrid: {rate: [1]}\nflag: {}\n", "grid.yaml:3: flag"},
  };
  for (const auto& [text, expected] : rows) {
    const auto grid = read_grid(this->grid(text));
    ASSERT_FALSE(grid.has_value()) << text;
    EXPECT_THAT(grid.error().message, HasSubstr(expected)) << text;
  }
}

TEST_F(Sweep, TheShippedGridIsRead) {
  const std::string path = support::source_dir() + "/fixtures/planning/grid.yaml";
  const auto grid = read_grid(path);
  ASSERT_TRUE(grid.has_value()) << grid.error().message;
  EXPECT_EQ(grid->points(), 8);
}

}  // namespace
}  // namespace touchstone::harness
