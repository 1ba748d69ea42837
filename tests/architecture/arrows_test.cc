// The arrows of ARCHITECTURE.md: who may include whom.
#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/architecture/source_tree.h"
#include "tests/support/paths.h"

namespace touchstone::architecture {
namespace {

const std::vector<std::string> kFolders = {"base",    "result",    "workload", "http",
                                           "records", "telemetry", "harness",  "conformance",
                                           "reports", "simulator", "cli",      "reference_engine"};

Arrows arrows() {
  return {
      {"base", {}},
      {"result", {"base"}},
      {"workload", {"base"}},
      {"http", {"base"}},
      {"records", {"base"}},
      {"telemetry", {"base", "records", "http"}},
      {"conformance", {"base", "records", "telemetry", "result"}},
      {"harness", {"base", "http", "records", "telemetry", "result", "workload", "conformance"}},
      {"reports", {"base", "result"}},
      {"simulator",
       {"base", "result", "workload", "records", "telemetry", "reference_engine/scheduler",
        "reference_engine/lifecycle"}},
      {"reference_engine/scheduler", {"base"}},
      {"reference_engine/lifecycle", {"base", "records", "reference_engine/scheduler"}},
      {"reference_engine/sampling", {"base"}},
      {"reference_engine/model", {"base"}},
      {"reference_engine/tokenizer", {"base"}},
      {"reference_engine/chat_template", {"base"}},
      {"reference_engine/backend", {"base", "reference_engine/model", "reference_engine/sampling"}},
      {"reference_engine/engine",
       {"base", "records", "telemetry", "reference_engine/server/api", "reference_engine/scheduler",
        "reference_engine/lifecycle", "reference_engine/backend", "reference_engine/model",
        "reference_engine/sampling", "reference_engine/tokenizer"}},
      {"reference_engine/server/api",
       {"base", "reference_engine/sampling", "reference_engine/tokenizer",
        "reference_engine/chat_template"}},
      {"reference_engine/server",
       {"base", "http", "records", "telemetry", "reference_engine/engine",
        "reference_engine/server/api", "reference_engine/scheduler", "reference_engine/lifecycle",
        "reference_engine/backend", "reference_engine/model", "reference_engine/sampling",
        "reference_engine/tokenizer", "reference_engine/chat_template"}},
      {"cli",
       {"base", "result", "workload", "http", "records", "telemetry", "conformance", "harness",
        "reports", "simulator", "reference_engine/scheduler", "reference_engine/backend",
        "reference_engine/model", "reference_engine/tokenizer", "reference_engine/sampling",
        "reference_engine/engine", "reference_engine/server", "reference_engine/server/api"}},
  };
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
