// Rules of the house that a compiler does not know: sources of time and chance, lengths, READMEs.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "base/text.h"
#include "tests/architecture/source_tree.h"
#include "tests/support/paths.h"

namespace touchstone::architecture {
namespace {

constexpr int kMaxFileLines = 450;
constexpr int kMaxFunctionLines = 70;
constexpr int kMaxReadmeLines = 40;

const std::vector<std::string> kCode = {"base",    "result",    "workload",    "telemetry",
                                        "http",    "records",   "conformance", "harness",
                                        "reports", "simulator", "cli",         "reference_engine"};

/// What may not be written, why, and the files that exist to do just that.
struct Ban {
  std::string pattern;
  std::string why;
  std::vector<std::string> except;  ///< path prefixes
};

const std::vector<Ban>& bans() {
  static const std::vector<Ban> kBans = {
      {R"(_clock::now)", "time comes from base/clock.h", {"base/clock.cc"}},
      {R"(\brandom_device\b|\bstd::\w+_distribution\b|std::shuffle|\brand\(\)|mt19937)",
       "chance comes from base/random.h",
       {}},
      {R"(\bgetenv\b)", "the environment is read at the command line", {"cli/"}},
      {R"(\bsleep_for\b|\busleep\b|\bsleep_until\b)", "wait for a condition, not for time", {}},
      {R"(TODO\(now\))", "what must be done now is not done", {}},
      // A private constructor is out of make_unique's reach: the unique_ptr must stand beside it.
      {R"(^(?!.*unique_ptr).*\bnew [A-Za-z_:<>]+[\({])", "ownership is unique_ptr or a member", {}},
      {R"(\bthrow\b)", "errors are values", {}},
      {R"(\bstd::(mutex|condition_variable|lock_guard|unique_lock|scoped_lock)\b)",
       "locks are base/mutex.h's, whose use clang checks",
       {"base/mutex.h"}},
  };
  return kBans;
}

std::vector<std::string> violations(const std::vector<SourceFile>& files) {
  std::vector<std::string> found;
  for (const Ban& ban : bans()) {
    const std::regex pattern(ban.pattern);
    for (const SourceFile& file : files) {
      const bool excepted =
          std::any_of(ban.except.begin(), ban.except.end(),
                      [&](const std::string& prefix) { return file.path.starts_with(prefix); });
      if (excepted) continue;
      for (size_t i = 0; i < file.lines.size(); ++i) {
        std::string code = file.lines[i].substr(0, file.lines[i].find("//"));
        // A call that was broken after its parenthesis is one line.
        if (i > 0 && file.lines[i - 1].ends_with("(")) code = file.lines[i - 1] + code;
        if (std::regex_search(code, pattern) && file.lines[i].find("NOLINT") == std::string::npos) {
          found.push_back(file.path + ":" + std::to_string(i + 1) + ": " + ban.why);
        }
      }
    }
  }
  return found;
}

TEST(Tidy, TimeChanceAndEnvironmentHaveOneSource) {
  EXPECT_EQ(join(violations(read_sources(support::source_dir(), kCode)), "\n"), "");
}

TEST(Tidy, ABannedWordIsFoundAndACommentIsNot) {
  const std::vector<SourceFile> files = {
      {"simulator/x.cc",
       {"auto now = std::chrono::steady_clock::now();", "// never getenv here",
        "std::this_thread::sleep_for(1s);"}}};
  EXPECT_EQ(violations(files),
            (std::vector<std::string>{"simulator/x.cc:1: time comes from base/clock.h",
                                      "simulator/x.cc:3: wait for a condition, not for time"}));
}

TEST(Tidy, FilesAndFunctionsStayShort) {
  std::string found;
  for (const SourceFile& file : read_sources(support::source_dir(), kCode)) {
    if (file.lines.size() > kMaxFileLines) {
      found += file.path + ": " + std::to_string(file.lines.size()) + " lines\n";
    }
    for (const auto& [where, lines] : long_functions(file, kMaxFunctionLines)) {
      found += where + ": a function of " + std::to_string(lines) + " lines\n";
    }
  }
  EXPECT_EQ(found, "");
}

TEST(Tidy, ALongFunctionIsFound) {
  SourceFile file{"base/long.cc", {"int f(int x) {"}};
  for (int i = 0; i < kMaxFunctionLines; ++i) file.lines.push_back("  ++x;");
  file.lines.push_back("}");
  EXPECT_EQ(long_functions(file, kMaxFunctionLines),
            (std::vector<std::pair<std::string, int>>{{"base/long.cc:1", kMaxFunctionLines + 2}}));
}

TEST(Tidy, EveryTopFolderHasAShortReadme) {
  const std::vector<std::string> folders = {"base",        "http",
                                            "records",     "result",
                                            "workload",    "telemetry",
                                            "conformance", "harness",
                                            "reports",     "simulator",
                                            "cli",         "tests",
                                            "bench",       "fixtures",
                                            "scripts",     "collector_configs",
                                            "docs",        "reference_engine",
                                            "action",      "examples",
                                            "monitoring"};
  for (const std::string& folder : folders) {
    std::ifstream in(support::source_dir() + "/" + folder + "/README.md");
    EXPECT_TRUE(in) << folder << "/README.md is missing";
    int lines = 0;
    for (std::string line; std::getline(in, line);) ++lines;
    EXPECT_LE(lines, kMaxReadmeLines) << folder << "/README.md";
  }
}

TEST(Tidy, EveryHeaderSaysWhatItIs) {
  for (const SourceFile& file : read_sources(support::source_dir(), kCode)) {
    if (!file.path.ends_with(".h")) continue;
    ASSERT_FALSE(file.lines.empty()) << file.path;
    EXPECT_TRUE(file.lines[0].starts_with("// "))
        << file.path << " opens without saying what it is";
  }
}

TEST(Tidy, ATypeHasOneDefinition) {
  EXPECT_EQ(join(types_defined_twice(read_sources(support::source_dir(), kCode)), "\n"), "");
}

TEST(Tidy, ATypeWithTwoDefinitionsIsFound) {
  const std::vector<SourceFile> files = {
      {"simulator/a.h", {"namespace touchstone::simulator {", "struct Row {", "};"}},
      {"simulator/b.h", {"namespace touchstone::simulator {", "class Row final {", "};"}},
      {"simulator/c.cc",
       {"namespace touchstone::simulator {", "namespace {", "struct Row {", "};",
        "}  // namespace"}},
      {"simulator/d.h", {"namespace touchstone::simulator {", "struct Row;"}},
      {"base/e.h", {"namespace touchstone {", "struct Row {", "};"}}};
  EXPECT_EQ(types_defined_twice(files),
            (std::vector<std::string>{"touchstone::simulator::Row: simulator/a.h, simulator/b.h"}));
}

}  // namespace
}  // namespace touchstone::architecture
