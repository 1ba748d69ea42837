// `touchstone check --run`: a run of former days, whole and otherwise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/end_to_end/stack.h"

namespace touchstone::end_to_end {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST_F(Check, ARunIsJudgedAgainWithoutRunningAnythingAndAlteredFilesAreTold) {
  const Ran first = check(small_suite());
  ASSERT_EQ(first.code, 0) << first.output << first.errors;
  const auto before = report();
  const Ran again = check("", {"--run", path("report/run")});
  EXPECT_EQ(again.code, 0) << again.output << again.errors;
  const auto after = report();
  for (const char* part : {"verdict", "summary", "checks", "coverage", "budgets", "notes"}) {
    EXPECT_EQ(before.at(part), after.at(part)) << part;
  }
  const Ran stricter = check("", {"--run", path("report/run"), "--profile", "vllm-v2"});
  EXPECT_EQ(stricter.code, 2);
  auto spans = read_file(path("report/run/spans.otlp.jsonl"));
  ASSERT_TRUE(spans);
  ASSERT_TRUE(write_file_atomic(path("report/run/spans.otlp.jsonl"), *spans + "\n"));
  const Ran altered = check("", {"--run", path("report/run")});
  EXPECT_EQ(altered.code, 1) << altered.output << altered.errors;
  const auto found = findings("input.unaltered");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0].dump(), HasSubstr("spans.otlp.jsonl: got"));
}

TEST_F(Check, ARunThatIsNotWholeIsUndecidedNeverAPass) {
  const Ran first = check(small_suite());
  ASSERT_EQ(first.code, 0) << first.output << first.errors;
  using Manifest = nlohmann::json;
  const auto without = [](Manifest& run, const std::string& folder, const std::string& file) {
    fs::remove(folder + "/" + file);
    auto& files = run.at("files");
    files.erase(std::find_if(files.begin(), files.end(),
                             [&](const auto& one) { return one.at("name") == file; }));
  };
  const std::string folder = path("again");
  const struct {
    std::function<void(Manifest&)> alter;
    std::string says;
  } rows[] = {
      {[](Manifest& run) { run["complete"] = false; }, "complete: got false"},
      {[](Manifest& run) { run["collector_drained"] = false; }, "collector_drained: got false"},
      {[](Manifest& run) {
         run["deaths"].push_back({{"part", "subject"}, {"status", "signal 11"}});
       },
       "subject ended by itself with signal 11"},
      {[](Manifest& run) { run["digests"]["suite"] = std::string(64, '0'); }, "digests.suite"},
      {[&](Manifest& run) { without(run, folder, "suite.yaml"); }, "digests.suite"},
      {[&](Manifest& run) { without(run, folder, "requests.jsonl"); }, "requests.jsonl: is not"},
      {[&](Manifest& run) { without(run, folder, "metrics.txt"); }, "metrics.txt: is not there"},
      {[&](Manifest& run) { without(run, folder, "metrics_before.txt"); },
       "metrics_before.txt: is"},
      {[&](Manifest& run) { without(run, folder, "collector_metrics.txt"); },
       "collector_metrics.txt: is not there"},
  };
  for (const auto& row : rows) {
    fs::remove_all(folder);
    fs::copy(path("report/run"), folder, fs::copy_options::recursive);
    auto run = nlohmann::json::parse(*read_file(folder + "/run.json"));
    row.alter(run);
    ASSERT_TRUE(write_file_atomic(folder + "/run.json", run.dump()));
    fs::remove(path("report/report.json"));
    const Ran again = check("", {"--run", folder});
    EXPECT_EQ(again.code, 3) << row.says << "\n" << again.output << again.errors;
    const auto read = read_file(path("report/report.json"));
    EXPECT_THAT(again.errors + (read ? *read : ""), HasSubstr(row.says));
  }
}

}  // namespace
}  // namespace touchstone::end_to_end
