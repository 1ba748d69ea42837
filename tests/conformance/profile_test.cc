#include "conformance/profile/profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "conformance/profile/pattern.h"
#include "conformance/profile/relation.h"
#include "tests/conformance/recorded.h"
#include "tests/support/json_schema.h"

namespace touchstone::conformance {
namespace {

constexpr char kGood[] = R"(profile: p
version: "1"
convention: c
source: s
names: {a: x.a, b: x.b}
spans:
  - type: t
    match: {name: n}
    attributes:
      - {key: x.a, type: double, min: 0}
)";

TEST(Profile, EveryShippedOneParses) {
  ASSERT_FALSE(shipped_profiles().empty());
  for (const ShippedProfile& shipped : shipped_profiles()) {
    const auto profile = load_profile(std::string(shipped.name));
    ASSERT_TRUE(profile.has_value()) << profile.error().message;
    EXPECT_EQ(profile->name, shipped.name);
    EXPECT_FALSE(profile->version.empty());
  }
}

TEST(Profile, AGoodOneIsReadInFull) {
  const auto profile = parse_profile("p.yaml", kGood);
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_EQ(profile->key_of("a"), "x.a");
  EXPECT_EQ(profile->key_of("other"), "other");
  ASSERT_EQ(profile->spans.size(), 1u);
  EXPECT_EQ(profile->spans[0].attributes[0].where, "p.yaml:10");
  EXPECT_EQ(profile->spans[0].attributes[0].level, result::Level::kMust);
}

TEST(Profile, EveryErrorNamesItsPlace) {
  const struct {
    const char* added;    // after kGood
    const char* message;  // part of the error
  } kBad[] = {
      {"colour: blue\n", "p.yaml:11: colour: unknown key"},
      {"      - {key: x.a}\n", "got x.a twice"},
      {"      - {key: x.b, type: float}\n",
       "p.yaml:11: spans[0].attributes[1].type: got \"float\""},
      {"      - {type: int}\n", "missing key \"key\""},
      {"      - {key: x.b, level: must}\n", "expected one of: MUST, SHOULD, MAY"},
      {"      - {key: x.b, min: 3, max: 2}\n", "is larger than max"},
      {"      - {key: x.b, pattern: \"(\"}\n", "pattern /(/"},
      {"      - {key: x.b, presence: when}\n", "go together"},
      {"    forbidden: [{key: x.c}]\n", "missing key \"reason\""},
      {"    forbidden: [{key: x.a, reason: r}]\n", "x.a is both required and forbidden"},
      {"    relations: [{relation: a}]\n", "expected two sums joined by"},
      {"    relations: [{relation: a >= b, tolerance: -1}]\n", "expected a number of at least 0"},
      {"    expect: {kind: sever}\n", "did you mean \"server\"?"},
      {"    expect: {status: [fine]}\n", "expected unset, ok or error"},
      {"accounting: {completed: {least: choices}}\n", "missing key \"hung_up\""},
      {"time: {clock_skew: 5}\n", "expected a string"},
      {"reconcile: [{counter: m, of: c}]\n", "expected a word of `names`"},
      {"reconcile: [{counter: m, requests: m, of: a}]\n", "exactly one of"},
      {"metrics: [{name: m, type: timer}]\n", "got \"timer\""},
      {"spans2: [\n", "not valid YAML"},
  };
  for (const auto& bad : kBad) {
    const auto profile = parse_profile("p.yaml", std::string(kGood) + bad.added);
    ASSERT_FALSE(profile.has_value()) << bad.added;
    const std::string text = profile.error().message + " " + profile.error().hint;
    EXPECT_NE(text.find(bad.message), std::string::npos) << bad.added << " gave: " << text;
    EXPECT_EQ(profile.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Profile, OneThatWouldCheckNothingIsAnError) {
  const auto profile =
      parse_profile("p.yaml", "{profile: p, version: \"1\", convention: c, source: s}");
  ASSERT_FALSE(profile.has_value());
  EXPECT_NE(profile.error().message.find("would check nothing"), std::string::npos);
}

TEST(Profile, AnUnknownNameGetsTheNearest) {
  const auto profile = load_profile("vllm-v2");
  ASSERT_FALSE(profile.has_value());
  EXPECT_EQ(profile.error().code, ErrorCode::kNotFound);
  EXPECT_NE(profile.error().hint.find("vllm-v1"), std::string::npos);
}

constexpr char kSchema[] = "conformance/profiles/profile.schema.json";

TEST(ProfileSchema, TakesEveryShippedProfile) {
  for (const ShippedProfile& shipped : shipped_profiles()) {
    EXPECT_EQ(support::schema_problems(kSchema, support::yaml_as_json(std::string(shipped.yaml))),
              std::vector<std::string>())
        << shipped.name;
  }
}

TEST(ProfileSchema, RefusesUnknownKeysAndWrongTypes) {
  const nlohmann::json good = support::yaml_as_json(std::string(shipped_profiles()[0].yaml));
  const std::pair<const char*, nlohmann::json> bad[] = {{"/colour", "blue"},
                                                        {"/version", nlohmann::json::array()},
                                                        {"/spans/0/colour", "blue"},
                                                        {"/spans/0/attributes/0/level", "PERHAPS"},
                                                        {"/names", 7},
                                                        {"/spans/0/match/colour", "blue"}};
  for (const auto& [pointer, value] : bad) {
    nlohmann::json odd = good;
    odd[nlohmann::json::json_pointer(pointer)] = value;
    EXPECT_NE(support::schema_problems(kSchema, odd), std::vector<std::string>()) << pointer;
  }
}

TEST(Relation, SumsAreComparedWithinTheTolerance) {
  const struct {
    const char* text;
    double tolerance;
    bool holds;
  } kRows[] = {
      {"a >= b", 0, true},      {"b >= a", 0, false},       {"b >= a", 1, true},
      {"a == b + 1", 0, true},  {"a == b", 0.5, false},     {"2 * b == a + 1", 0, true},
      {"a - b <= 1", 0, true},  {"a - b <= 0.5", 0, false}, {"a >= 1e-3", 0, true},
      {"nan >= a", 1e9, false}, {"a <= nan", 1e9, false},   {"nan == nan", 1e9, false},
  };
  const std::map<std::string, double> values = {{"a", 3}, {"b", 2}, {"nan", std::nan("")}};
  for (const auto& row : kRows) {
    auto relation = parse_relation(row.text);
    ASSERT_TRUE(relation.has_value()) << row.text;
    relation->tolerance = row.tolerance;
    const auto result = evaluate(
        *relation, [&](const std::string& name) { return std::optional<double>(values.at(name)); });
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->holds, row.holds) << row.text << " within " << row.tolerance;
  }
  const auto absent = evaluate(*parse_relation("a >= b"),
                               [](const std::string&) { return std::optional<double>(); });
  EXPECT_FALSE(absent.has_value());
}

TEST(Pattern, MatchesTheWholeTextWithinBounds) {
  const auto pattern = Pattern::compile("[0-9]+");
  ASSERT_TRUE(pattern.has_value());
  EXPECT_TRUE(pattern->matches("123"));
  EXPECT_FALSE(pattern->matches("123 "));
  EXPECT_FALSE(pattern->matches(""));
  EXPECT_FALSE(pattern->matches("\xff"));
  // Exponential without a bound: must come back at all.
  const auto greedy = Pattern::compile("(a+)+b");
  ASSERT_TRUE(greedy.has_value());
  EXPECT_FALSE(greedy->matches(std::string(5000, 'a')));
}

}  // namespace
}  // namespace touchstone::conformance
