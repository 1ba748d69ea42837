// Grammars over a vocabulary of single characters: what may be said, and what is refused.
#include "reference_engine/grammar/compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/random.h"

namespace touchstone::grammar {
namespace {

using ::testing::HasSubstr;
using Kind = GrammarSpec::Kind;

// Token t is the byte t, up to 127; 128 ends the answer; 129 is special.
constexpr int32_t kEnd = 128;
constexpr int32_t kVocabulary = 130;

Vocabulary vocabulary() {
  Vocabulary made{.bytes = {}, .size = kVocabulary, .stop_tokens = {kEnd}};
  for (int byte = 0; byte < 128; ++byte) made.bytes.emplace_back(1, static_cast<char>(byte));
  made.bytes.resize(kVocabulary);
  return made;
}

class Grammars : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_built_in()) GTEST_SKIP() << "built without xgrammar (scripts/xgrammar)";
    compiler_ = Compiler::make(vocabulary(), {.clock = &clock_});
  }
  static GrammarSpec spec(Kind kind, const std::string& text = {}) {
    GrammarSpec made;
    made.kind = kind;
    made.text = text;
    return made;
  }
  std::unique_ptr<Matcher> matcher(const GrammarSpec& each) {
    const Status checked = compiler_->check(each);
    EXPECT_TRUE(checked) << (checked ? "" : checked.error().message);
    std::promise<Result<std::shared_ptr<const CompiledGrammar>>> promise;
    EXPECT_TRUE(compiler_->compile(each, [&](auto outcome) { promise.set_value(outcome); }));
    auto outcome = promise.get_future().get();
    EXPECT_TRUE(outcome);
    return outcome ? (*outcome)->matcher({kEnd}) : nullptr;
  }
  static std::vector<int32_t> allowed(Matcher& matcher) {
    std::vector<int32_t> words((kVocabulary + 31) / 32);
    matcher.fill(words);
    std::vector<int32_t> tokens;
    for (int32_t token = 0; token < kVocabulary; ++token) {
      if ((static_cast<uint32_t>(words[static_cast<size_t>(token / 32)]) >> (token % 32) & 1) !=
          0) {
        tokens.push_back(token);
      }
    }
    return tokens;
  }
  /// Whether the text is a whole answer.
  bool takes(const GrammarSpec& each, const std::string& text) {
    const auto made = matcher(each);
    for (const char c : text) {
      if (!made->accept(c)) return false;
    }
    return made->accept(kEnd);
  }

  const RealClock clock_;
  std::unique_ptr<Compiler> compiler_;
};

TEST_F(Grammars, EveryKindTakesWhatItShouldAndNothingElse) {
  const GrammarSpec regex = spec(Kind::kRegex, "[ab]{2}c?");
  EXPECT_TRUE(takes(regex, "abc"));
  EXPECT_TRUE(takes(regex, "bb"));
  EXPECT_FALSE(takes(regex, "a"));
  EXPECT_FALSE(takes(regex, "abcc"));
  GrammarSpec choice = spec(Kind::kChoice);
  choice.choices = {"yes", "n\"o\n"};
  EXPECT_TRUE(takes(choice, "n\"o\n"));
  EXPECT_FALSE(takes(choice, "no"));
  EXPECT_TRUE(takes(spec(Kind::kEbnf, "root ::= \"a\" root | \"b\""), "aaab"));
  EXPECT_TRUE(takes(spec(Kind::kJsonObject), R"({"a": [1, {"b": null}]})"));
  EXPECT_FALSE(takes(spec(Kind::kJsonObject), "[1]"));
  const GrammarSpec schema =
      spec(Kind::kJsonSchema,
           R"({"type":"object","properties":{"z":{"type":"integer"},"a":{"enum":["x","y"]}},
          "required":["z","a"],"additionalProperties":false})");
  EXPECT_TRUE(takes(schema, R"({"z": 12, "a": "x"})"));
  EXPECT_FALSE(takes(schema, R"({"a": "x", "z": 12})")) << "in the order of the schema";
  EXPECT_FALSE(takes(schema, R"({"z": 1.5, "a": "x"})"));
  GrammarSpec tight = schema;
  tight.any_whitespace = false;
  EXPECT_FALSE(takes(tight, R"({ "z":12,"a":"x"})"));
}

TEST_F(Grammars, TheMaskIsWhatIsTakenAndSpecialTokensAreNever) {
  const auto made = matcher(spec(Kind::kRegex, "(ab|ac)"));
  EXPECT_EQ(allowed(*made), (std::vector<int32_t>{'a'}));
  EXPECT_FALSE(made->accept('b'));
  EXPECT_TRUE(made->accept('a'));
  EXPECT_EQ(allowed(*made), (std::vector<int32_t>{'b', 'c'}));
  EXPECT_TRUE(made->accept('c'));
  EXPECT_EQ(allowed(*made), (std::vector<int32_t>{kEnd}));
  EXPECT_TRUE(made->accept(kEnd));
  EXPECT_EQ(allowed(*made).size(), static_cast<size_t>(kVocabulary)) << "free once it ended";
}

TEST_F(Grammars, RandomAnswersAreValidJson) {
  RandomStream random(5, "answers");
  const GrammarSpec schema =
      spec(Kind::kJsonSchema,
           R"({"type":"object","properties":{"n":{"type":"integer","minimum":3,"maximum":9},
          "s":{"type":"string","maxLength":5},"l":{"type":"array","items":{"type":"boolean"},
          "maxItems":3}},"required":["n","s","l"],"additionalProperties":false})");
  for (int round = 0; round < 50; ++round) {
    const auto made = matcher(schema);
    std::string text;
    while (text.size() < 2000) {
      const std::vector<int32_t> tokens = allowed(*made);
      ASSERT_FALSE(tokens.empty());
      int32_t token = tokens[random.next() % tokens.size()];
      if (std::count(tokens.begin(), tokens.end(), kEnd) > 0) token = kEnd;
      ASSERT_TRUE(made->accept(token));
      if (token == kEnd) break;
      text += static_cast<char>(token);
    }
    const auto tree = nlohmann::json::parse(text, nullptr, false);
    if (text.size() == 2000) continue;  // white space may go on for ever
    ASSERT_TRUE(tree.is_object()) << text;
    EXPECT_GE(tree["n"].get<int>(), 3) << text;
    EXPECT_LE(tree["n"].get<int>(), 9) << text;
    EXPECT_LE(tree["l"].size(), 3u) << text;
  }
}

TEST_F(Grammars, WhatIsMalformedIsToldByWhoCompilesAndWhatIsTooLargeBefore) {
  const auto told = [&](const GrammarSpec& each) -> std::string {
    if (const Status checked = compiler_->check(each); !checked) return checked.error().message;
    std::promise<Result<std::shared_ptr<const CompiledGrammar>>> promise;
    EXPECT_TRUE(compiler_->compile(each, [&](auto outcome) { promise.set_value(outcome); }));
    const auto outcome = promise.get_future().get();
    return outcome ? "compiled" : outcome.error().message;
  };
  EXPECT_THAT(told(spec(Kind::kRegex, "(")), HasSubstr("Invalid grammar specification"));
  EXPECT_THAT(told(spec(Kind::kEbnf, "root ::= ")), HasSubstr("Invalid grammar"));
  EXPECT_THAT(told(spec(Kind::kEbnf, "other ::= \"a\"")), HasSubstr("Invalid grammar"));
  EXPECT_THAT(told(spec(Kind::kJsonSchema, "{")), HasSubstr("Invalid JSON grammar"));
  EXPECT_THAT(told(spec(Kind::kStructuralTag, "{}")), HasSubstr("Invalid"));
  EXPECT_THAT(told(spec(Kind::kRegex, std::string("a\0b", 3))), HasSubstr("NUL"));
  EXPECT_THAT(told(spec(Kind::kEbnf, std::string(1 << 20, 'x'))), HasSubstr("1048576 bytes"));
  GrammarSpec choice = spec(Kind::kChoice);
  choice.choices.assign(5000, "a");
  EXPECT_THAT(told(choice), HasSubstr("5000 choices"));
  EXPECT_THAT(told(spec(Kind::kRegex, "a{1,100000}")), HasSubstr("got 100000"));
}

TEST_F(Grammars, ASchemaOfTwoHundredKeywordsIsTaken) {
  nlohmann::ordered_json schema = {{"type", "object"}, {"additionalProperties", false}};
  for (int i = 0; i < 70; ++i) {
    const std::string name = "p" + std::to_string(i);
    schema["properties"][name] = i % 2 == 0
                                     ? nlohmann::ordered_json{{"type", "string"}, {"maxLength", i}}
                                     : nlohmann::ordered_json{{"type", "integer"}, {"minimum", i}};
    schema["required"].push_back(name);
  }
  const auto made = matcher(spec(Kind::kJsonSchema, schema.dump()));
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(allowed(*made), (std::vector<int32_t>{'{'}));
}

}  // namespace
}  // namespace touchstone::grammar
