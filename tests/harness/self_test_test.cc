// The self-test of the checks, a sample of it, and that it can fail: the whole is in
// tests/soundness.
#include "conformance/mutate/self_test.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"
#include "base/text.h"
#include "harness/self_test.h"
#include "tests/support/paths.h"

namespace touchstone::harness {
namespace {

using conformance::mutate::Depth;
using conformance::mutate::Good;
using conformance::mutate::Mode;
using conformance::mutate::self_test;
using conformance::mutate::SelfTest;

const std::string kFolder = support::source_dir() + "/fixtures/spans";

TEST(SelfTest, ASampleIsFoundWithoutAFalseAlarm) {
  const auto goods = good_telemetry(kFolder, {}, Depth::kSampled);
  ASSERT_TRUE(goods) << goods.error().message;
  const SelfTest test = self_test(*goods, nullptr);
  EXPECT_TRUE(test.good()) << to_text(test);
  EXPECT_GT(test.sum(Mode::kAll).decidable, 500);
}

TEST(SelfTest, AProfileOfOnesOwnStandsInForWhatItExtends) {
  auto scratch = TemporaryDirectory::make("touchstone-self-test");
  ASSERT_TRUE(scratch);
  const std::string path = scratch->path() + "/mine.yaml";
  // It no longer asks for the prompt's length.
  ASSERT_TRUE(write_file_atomic(path,
                                "profile: mine\nextends: vllm-v1\nversion: \"1\"\n"
                                "convention: mine\nsource: mine\n"
                                "unknown_spans: allow\n"));
  const auto goods = good_telemetry(kFolder, {path}, Depth::kSampled);
  ASSERT_TRUE(goods) << goods.error().message;
  for (const auto& good : *goods) {
    EXPECT_EQ(good->profiles().front().name, "mine") << good->name();
  }
  const SelfTest test = self_test(*goods, nullptr);
  EXPECT_FALSE(test.good()) << "a renamed span is no longer told";
  for (const auto& score : test.operators) {
    const bool renames = std::string(score.row->id) == "span.rename";
    if (renames) {
      EXPECT_FALSE(score.survivors.empty());
    }
  }
}

TEST(SelfTest, NoTelemetryIsAnError) {
  const auto goods = good_telemetry(kFolder + "/nowhere", {}, Depth::kSampled);
  ASSERT_FALSE(goods);
  EXPECT_EQ(goods.error().code, ErrorCode::kNotFound);
  const auto unknown = good_telemetry(kFolder, {"no-such-profile"}, Depth::kSampled);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("no-such-profile"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::harness
