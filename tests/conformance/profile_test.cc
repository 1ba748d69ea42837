#include "conformance/profile/profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/files.h"
#include "conformance/profile/pattern.h"
#include "conformance/profile/relation.h"
#include "conformance/profile/unit.h"
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
  const auto profile = load_profile("vllm-v1x");
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

constexpr char kMore[] = R"(profile: q
extends: base.yaml
names: {b: y.b}
spans:
  - type: t
    match: {scope: audited}
    attributes:
      - {key: x.a, level: SHOULD}
      - {key: x.c, type: int}
  - {type: u, match: {name: m}}
unknown_spans: allow
)";

/// The profile in `text`, in a folder with kGood as base.yaml.
Result<Profile> extended(const std::string& text) {
  auto folder = TemporaryDirectory::make("touchstone-profile-test");
  BASE_CHECK(folder.has_value() && write_file_atomic(folder->path() + "/base.yaml", kGood));
  const std::string path = folder->path() + "/own.yaml";
  BASE_CHECK(write_file_atomic(path, text));
  return load_profile(path);
}

TEST(Extends, WhatIsSaidIsReadOntoTheBase) {
  const auto profile = extended(kMore);
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_EQ(profile->name, "q");
  EXPECT_EQ(profile->version, "1") << "the base's";
  EXPECT_EQ(profile->key_of("a"), "x.a");
  EXPECT_EQ(profile->key_of("b"), "y.b");
  ASSERT_EQ(profile->spans.size(), 2u);
  const SpanType& type = profile->spans[0];
  EXPECT_EQ(type.match.name, "n");
  EXPECT_EQ(type.match.scope, "audited");
  ASSERT_EQ(type.attributes.size(), 2u);
  EXPECT_EQ(type.attributes[0].level, result::Level::kShould);
  EXPECT_EQ(type.attributes[0].type, ValueType::kDouble) << "the base's";
  EXPECT_EQ(type.attributes[0].min, 0);
  EXPECT_NE(type.attributes[0].where.find("own.yaml:8"), std::string::npos);
  EXPECT_FALSE(profile->unknown_spans.has_value());
  ASSERT_EQ(profile->sources.size(), 2u);
  EXPECT_NE(profile->sources[0].sha256, profile->sources[1].sha256);
}

TEST(Extends, ItemsAreRemoved) {
  const auto profile = extended(
      "profile: q\nextends: base.yaml\nspans:\n  - {type: t, attributes: "
      "[{key: x.a, remove: true}]}\n");
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_TRUE(profile->spans[0].attributes.empty());
}

TEST(Extends, ErrorsNameThePlaceInWhicheverFile) {
  const std::string head = "profile: q\nextends: ";
  const std::pair<std::string, std::string> bad[] = {
      {head + "none.yaml\n", "own.yaml:2: extends: "},
      {head + "own.yaml\n", "is it a circle?"},
      {head + "vllm-v2\n", "expected one of: "},
      {head + "base.yaml\nspans: [{type: t, remove: true}]\n", "would check nothing"},
      {head + "base.yaml\nspans: [{type: v, remove: true}]\n", "there is no v to remove"},
      {head + "base.yaml\nspans: [{type: v}]\n", "missing key \"match\""},
      {head + "base.yaml\nspans:\n  - {type: t, parent: [v]}\n", "got the type \"v\""},
      {head + "base.yaml\nspans:\n  - type: t\n    attributes: [{key: x.a, max: -1}]\n",
       "own.yaml:5: spans[0].attributes[0].max: min is larger than max"}};
  for (const auto& [text, message] : bad) {
    const auto profile = extended(text);
    ASSERT_FALSE(profile.has_value()) << text;
    EXPECT_NE(profile.error().message.find(message), std::string::npos)
        << text << " gave: " << profile.error().message;
  }
}

TEST(Extends, AnErrorOfTheBaseNamesTheBase) {
  auto folder = TemporaryDirectory::make("touchstone-profile-test");
  ASSERT_TRUE(folder.has_value());
  ASSERT_TRUE(write_file_atomic(folder->path() + "/base.yaml", std::string(kGood) + "colour: x\n"));
  const auto profile =
      parse_profile(folder->path() + "/own.yaml", "profile: q\nextends: ./base.yaml\n");
  ASSERT_FALSE(profile.has_value());
  EXPECT_NE(profile.error().message.find("base.yaml:11: colour: unknown key"), std::string::npos)
      << profile.error().message;
}

TEST(Unit, TimesAndSharesHaveABaseUnit) {
  EXPECT_DOUBLE_EQ(to_base_unit("ms"), 0.001);
  EXPECT_DOUBLE_EQ(to_base_unit("%"), 0.01);
  EXPECT_DOUBLE_EQ(to_base_unit("tokens"), 1);
  EXPECT_TRUE(is_time_unit("us"));
  EXPECT_FALSE(is_time_unit("tokens"));
}

TEST(Relation, NamesOfParentAndChildren) {
  const auto relation = parse_relation("a.b + 1 == parent/c + 2 * inference.decode/tokens");
  ASSERT_TRUE(relation.has_value());
  EXPECT_TRUE(relation->crosses_spans());
  EXPECT_EQ(relation->right[0].owner, Relation::Owner::kParent);
  EXPECT_EQ(relation->right[1].child_type, "inference.decode");
  EXPECT_EQ(relation->right[1].name, "tokens");
  EXPECT_FALSE(parse_relation("a/b/c == 1").has_value());
  EXPECT_FALSE(parse_relation("/b == 1").has_value());
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
        *relation, [&](const Relation::Term& term) { return Operand(values.at(term.name)); });
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->holds, row.holds) << row.text << " within " << row.tolerance;
  }
  const auto absent =
      evaluate(*parse_relation("a >= b"), [](const Relation::Term&) { return Operand(); });
  EXPECT_FALSE(absent.has_value());
}

TEST(Pattern, IsFoundAnywhereWhenAskedFor) {
  const auto pattern = Pattern::compile("[0-9]{3}", Pattern::Extent::kAnywhere);
  ASSERT_TRUE(pattern.has_value());
  EXPECT_TRUE(pattern->matches("ab 123 c"));
  EXPECT_FALSE(pattern->matches("ab 12 c"));
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
