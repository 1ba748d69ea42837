// The walkthrough of docs/planning.md works as written: its commands run, in order, on the shipped
// recording, and lead to what it says they lead to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "result/result_json.h"
#include "tests/support/paths.h"

namespace touchstone::simulator {
namespace {

using ::testing::HasSubstr;

/// Lines of the document's `sh` blocks.
std::vector<std::string> commands_of(const std::string& markdown) {
  std::vector<std::string> commands;
  bool inside = false;
  for (const std::string& line : split(markdown, '\n')) {
    if (line.starts_with("```")) {
      inside = line == "```sh";
    } else if (inside) {
      commands.push_back(line);
    }
  }
  return commands;
}

struct Ran {
  int exit_code = -1;
  std::string text;
};

Ran run(const std::string& folder, const std::string& command) {
  const std::string program = support::touchstone_binary() + command.substr(10);
  FILE* const pipe = popen(("cd " + folder + " && " + program + " 2>&1").c_str(), "r");
  Ran ran;
  std::array<char, 4096> buffer;
  while (const size_t size = fread(buffer.data(), 1, buffer.size(), pipe)) {
    ran.text.append(buffer.data(), size);
  }
  ran.exit_code = pclose(pipe) / 256;
  return ran;
}

TEST(PlanningWalkthrough, ItsFiveCommandsWorkAsWritten) {
  const auto markdown = read_file(support::source_dir() + "/docs/planning.md");
  ASSERT_TRUE(markdown.has_value());
  const std::vector<std::string> commands = commands_of(*markdown);
  ASSERT_EQ(commands.size(), 5u);
  const auto directory = TemporaryDirectory::make("touchstone-planning");
  ASSERT_TRUE(directory.has_value());
  const std::string& folder = directory->path();
  std::filesystem::create_directory_symlink(support::source_dir() + "/fixtures",
                                            folder + "/fixtures");
  std::vector<std::string> printed;
  for (const std::string& command : commands) {
    ASSERT_TRUE(command.starts_with("touchstone ")) << command;
    const Ran ran = run(folder, command);
    // A simulation alone is neither right nor wrong.
    EXPECT_EQ(ran.exit_code, 0) << command << "\n" << ran.text;
    printed.push_back(ran.text);
  }
  EXPECT_THAT(printed[1], HasSubstr("tpot_mean_error"));
  EXPECT_THAT(printed[2], HasSubstr("60 requests written"));
  EXPECT_THAT(printed[3], HasSubstr("replica behind least-requests"));
  EXPECT_THAT(printed[3], HasSubstr("rests on the 3 slowest of 60 requests"));
  const auto report =
      result::report_from_json("report.json", read_file(folder + "/plan/report.json").value());
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->verdict, result::Verdict::kPass);
  for (const result::BudgetRow& row : report->budgets) {
    EXPECT_LE(row.measured_s.value(), row.threshold_s) << row.phase;
  }
  EXPECT_THAT(printed[4], HasSubstr("requests completed                    60"));
  const std::string series = read_file(folder + "/watched/timeseries.csv").value();
  EXPECT_THAT(series, HasSubstr("time_s,replica,running,waiting,kv_cache_usage"));
  EXPECT_THAT(series, HasSubstr("\n5,0,"));
  EXPECT_TRUE(std::filesystem::exists(folder + "/watched/replica-0/spans.otlp.jsonl"));
}

}  // namespace
}  // namespace touchstone::simulator
