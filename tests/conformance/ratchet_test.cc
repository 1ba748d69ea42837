// Coverage may grow and never shrink.
#include "conformance/ratchet.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "tests/support/paths.h"

namespace touchstone::conformance {
namespace {

result::CoverageRow row(const std::string& attribute, int64_t present, int64_t total) {
  result::CoverageRow row;
  row.attribute = attribute;
  row.span_type = "llm_request";
  row.present = present;
  row.total = total;
  return row;
}

TEST(Ratchet, WordsAreThoseOfAnAudit) {
  EXPECT_EQ(result::coverage_word(72, 72), "PASS");
  EXPECT_EQ(result::coverage_word(0, 72), "MISSING");
  EXPECT_EQ(result::coverage_word(59, 72), "PARTIAL 59/72");
}

TEST(Ratchet, WhatIsRarerOrGoneIsAFinding) {
  const Ratchet kept = ratchet_of({row("a", 3, 4), row("b", 4, 4), row("c", 0, 4)});
  EXPECT_EQ(kept.shares.size(), 2u) << "what is nowhere is not demanded";
  const auto same = judge_ratchet(kept, "r.json", {row("a", 6, 8), row("b", 8, 8)});
  EXPECT_EQ(same.verdict, result::Verdict::kPass);
  const auto less = judge_ratchet(kept, "r.json", {row("a", 5, 8)});
  EXPECT_EQ(less.verdict, result::Verdict::kFail);
  ASSERT_EQ(less.findings.size(), 2u);
  EXPECT_EQ(less.findings[0].actual, "62.50 %");
  EXPECT_NE(less.findings[1].message.find("llm_request b is on 0.00 %"), std::string::npos);
  EXPECT_EQ(judge_ratchet({}, "r.json", {}).verdict, result::Verdict::kSkip);
}

TEST(Ratchet, AFileIsReadAsItWasWrittenAndOnlyRises) {
  auto folder = TemporaryDirectory::make("touchstone-ratchet");
  ASSERT_TRUE(folder);
  const std::string path = folder->path() + "/r.json";
  const Ratchet low = ratchet_of({row("a", 1, 3)});
  ASSERT_TRUE(write_file_atomic(path, to_text(low)));
  const auto read = read_ratchet(path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(to_text(*read), to_text(low));
  EXPECT_EQ(judge_ratchet(*read, path, {row("a", 1, 3)}).verdict, result::Verdict::kPass);
  const Ratchet both = raised(*read, ratchet_of({row("a", 2, 3), row("b", 1, 2)}));
  EXPECT_NEAR(both.shares.at("llm_request a"), 2.0 / 3, 1e-9);
  EXPECT_EQ(raised(both, *read), both);
  for (const char* bad : {"", "[]", "{}", R"({"ratchet": 2, "shares": {}})",
                          R"({"ratchet": 1, "shares": {"a": 2}})"}) {
    ASSERT_TRUE(write_file_atomic(path, bad));
    const auto refused = read_ratchet(path);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace touchstone::conformance
