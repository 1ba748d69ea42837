// What two profiles demand differently.
#include <gtest/gtest.h>

#include <map>

#include "conformance/profile/diff.h"
#include "tests/conformance/recorded.h"

namespace touchstone::conformance {
namespace {

std::map<std::string, ProfileDifference> differences(const std::string& yaml) {
  const auto mine = parse_profile("mine.yaml", yaml);
  EXPECT_TRUE(mine) << mine.error().message;
  std::map<std::string, ProfileDifference> by_rule;
  for (const ProfileDifference& one : diff(vllm_v1(), *mine)) by_rule[one.rule] = one;
  return by_rule;
}

TEST(ProfileDiff, OfAProfileAndItselfIsEmpty) {
  for (const ShippedProfile& shipped : shipped_profiles()) {
    const auto profile = load_profile(std::string(shipped.name));
    ASSERT_TRUE(profile);
    EXPECT_TRUE(diff(*profile, *profile).empty()) << shipped.name;
  }
}

TEST(ProfileDiff, NamesWhatIsMoreLessAndOtherwise) {
  const auto found = differences(R"(profile: mine
extends: vllm-v1
spans:
  - type: llm_request
    attributes:
      - {key: gen_ai.request.n, remove: true}
      - {key: gen_ai.request.top_p, level: SHOULD}
      - {key: tenant, type: string}
    relations:
      - {relation: e2e >= ttft, tolerance: 1}
metrics:
  - {name: "vllm:num_preemptions_total", remove: true}
accounting: {hung_up: {least: choices, most: choices}}
time: {max_duration: 1h}
)");
  EXPECT_EQ(found.size(), 7u);
  EXPECT_EQ(found.at("attribute gen_ai.request.n of llm_request").after, "");
  EXPECT_EQ(found.at("attribute tenant of llm_request").before, "");
  EXPECT_EQ(found.at("attribute tenant of llm_request").after, "string, MUST");
  EXPECT_EQ(found.at("attribute gen_ai.request.top_p of llm_request").before,
            "double, MUST, min 0, max 1");
  EXPECT_EQ(found.at("attribute gen_ai.request.top_p of llm_request").after,
            "double, SHOULD, min 0, max 1");
  EXPECT_EQ(found.at("relation e2e >= ttft of llm_request").after, "MUST, tolerance 1");
  EXPECT_EQ(found.at("metric vllm:num_preemptions_total").after, "");
  EXPECT_EQ(found.at("accounting hung up").before, "none to all");
  EXPECT_EQ(found.at("accounting hung up").after, "all to all");
  EXPECT_EQ(found.at("longest span").after, "60 min");
}

}  // namespace
}  // namespace touchstone::conformance
