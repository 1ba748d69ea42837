// Everything that is decidable is found, nothing that is legal is accused, and the document says
// so.
#include "conformance/mutate/self_test.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "base/text.h"
#include "harness/self_test.h"
#include "tests/support/paths.h"

namespace touchstone::conformance::mutate {
namespace {

/// Once for all tests.
const SelfTest& whole() {
  static const SelfTest kTest = [] {
    const auto goods =
        harness::good_telemetry(support::source_dir() + "/fixtures/spans", {}, Depth::kWhole);
    EXPECT_TRUE(goods) << goods.error().message;
    return self_test(*goods, nullptr);
  }();
  return kTest;
}

TEST(SelfTest, EveryDecidableDefectIsFound) {
  for (const OperatorScore& score : whole().operators) {
    EXPECT_TRUE(score.survivors.empty())
        << score.row->id << ": " << score.survivors.size() << ", first " << score.survivors[0];
  }
  EXPECT_TRUE(whole().good()) << to_text(whole());
}

TEST(SelfTest, NothingLegalIsAccused) {
  for (const VariantScore& score : whole().variants) {
    EXPECT_GT(score.tried, 0) << score.row->id;
    EXPECT_TRUE(score.alarms.empty()) << score.row->id << ": " << join(score.alarms, "\n");
  }
  for (const GoodScore& good : whole().goods) {
    EXPECT_TRUE(good.alarms.empty()) << good.name << ": " << join(good.alarms, "\n");
  }
}

TEST(SelfTest, EveryModeOfEveryGoodIsTried) {
  EXPECT_GE(whole().goods.size(), 9u);
  EXPECT_GE(whole().operators.size(), 60u);
  EXPECT_GE(whole().variants.size(), 40u);
  for (const Mode mode : kModes) EXPECT_GT(whole().sum(mode).decidable, 1000) << to_string(mode);
}

/// Rules that no folder has telemetry for are in the document; no check is idle.
TEST(SelfTest, EveryCheckFindsSomething) {
  for (const auto& [id, kills] : whole().checks) EXPECT_GT(kills, 0) << id;
}

/// With TOUCHSTONE_UPDATE_DOCS=1 in the environment the file is written instead of compared.
TEST(SelfTest, TheDocumentIsTrue) {
  const std::string path = support::source_dir() + "/docs/soundness.md";
  const std::string text = to_markdown(whole());
  if (std::getenv("TOUCHSTONE_UPDATE_DOCS") != nullptr) {
    ASSERT_TRUE(write_file_atomic(path, text));
  }
  const Result<std::string> kept = read_file(path);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(*kept, text);
}

}  // namespace
}  // namespace touchstone::conformance::mutate
