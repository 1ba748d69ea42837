// The arrows of ARCHITECTURE.md: who may include whom.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "tests/architecture/source_tree.h"
#include "tests/support/paths.h"

namespace touchstone::architecture {
namespace {

const std::vector<std::string> kFolders = {"base",    "result",    "workload", "http",
                                           "records", "telemetry", "harness",  "conformance",
                                           "reports", "simulator", "cli",      "reference_engine"};

/// The words in `backquotes` of a line.
std::vector<std::string> quoted_words(const std::string& line) {
  std::vector<std::string> words;
  const std::vector<std::string> parts = split(line, '`');
  for (size_t i = 1; i + 1 < parts.size(); i += 2) words.push_back(parts[i]);
  return words;
}

/// The table under "## Arrows" of ARCHITECTURE.md.
Arrows arrows() {
  Arrows table;
  const auto text = read_file(support::source_dir() + "/ARCHITECTURE.md");
  if (!text) return table;
  bool inside = false;
  for (const std::string& line : split(*text, '\n')) {
    if (line.starts_with("## ")) inside = line == "## Arrows";
    if (!inside || !line.starts_with("| `")) continue;
    std::vector<std::string> words = quoted_words(line);
    const std::string folder = words.front();
    table[folder] = std::set<std::string>(words.begin() + 1, words.end());
  }
  return table;
}

TEST(Arrows, TheTableOfTheArchitectureIsRead) {
  const Arrows table = arrows();
  EXPECT_GT(table.size(), 15u);
  for (const auto& [folder, allowed] : table) {
    EXPECT_TRUE(std::filesystem::is_directory(support::source_dir() + "/" + folder)) << folder;
    for (const std::string& other : allowed) EXPECT_TRUE(table.contains(other)) << other;
  }
  EXPECT_EQ(table.at("reference_engine/scheduler"), std::set<std::string>{"base"});
}

TEST(Arrows, EveryIncludeFollowsAnArrow) {
  const auto files = read_sources(support::source_dir(), kFolders);
  ASSERT_GT(files.size(), 20u);
  EXPECT_EQ(join(wrong_arrows(arrows(), files), "\n"), "");
}

TEST(Arrows, NoFileIncludesItself) {
  EXPECT_EQ(join(include_circle(read_sources(support::source_dir(), kFolders)), " -> "), "");
}

TEST(Arrows, TheTableItselfHasNoCircle) {
  std::set<std::string> placed;
  const Arrows table = arrows();
  for (size_t round = 0; round < table.size(); ++round) {
    for (const auto& [folder, allowed] : table) {
      bool ready = true;
      for (const std::string& other : allowed) ready = ready && placed.contains(other);
      if (ready) placed.insert(folder);
    }
  }
  EXPECT_EQ(placed.size(), table.size()) << "some folders wait for each other";
}

TEST(Arrows, AWrongArrowIsFound) {
  const std::vector<SourceFile> files = {
      {"conformance/judge.cc", {"#include \"simulator/replica.h\""}},
      {"reference_engine/scheduler/scheduler.cc", {"#include \"telemetry/span.h\""}},
      {"attic/old.cc", {}},
      {"simulator/replica.cc", {"#include \"reference_engine/scheduler/scheduler.h\""}}};
  EXPECT_EQ(wrong_arrows(arrows(), files),
            (std::vector<std::string>{
                "conformance/judge.cc: includes simulator/replica.h, but conformance may not know "
                "simulator",
                "reference_engine/scheduler/scheduler.cc: includes telemetry/span.h, but "
                "reference_engine/scheduler may not know telemetry",
                "attic/old.cc: no folder of the arrows table holds it"}));
}

TEST(Arrows, ACircleIsFound) {
  const std::vector<SourceFile> files = {{"base/a.h", {"#include \"base/b.h\""}},
                                         {"base/b.h", {"#include \"base/c.h\""}},
                                         {"base/c.h", {"#include \"base/b.h\""}}};
  EXPECT_EQ(include_circle(files), (std::vector<std::string>{"base/b.h", "base/c.h", "base/b.h"}));
}

}  // namespace
}  // namespace touchstone::architecture
