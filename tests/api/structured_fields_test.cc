// What response_format and structured_outputs say, and how they are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/api/parsing.h"

namespace touchstone::server::api {
namespace {

using grammar::GrammarSpec;
using ::testing::HasSubstr;
using Kind = GrammarSpec::Kind;

class StructuredFields : public Parsing {};

TEST_F(StructuredFields, EveryKindIsRead) {
  const struct {
    const char* body;
    Kind kind;
    const char* text;
  } rows[] = {
      {R"({"response_format":{"type":"json_object"}})", Kind::kJsonObject, ""},
      {R"({"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":
          {"type":"object","properties":{"b":{},"a":{}}}}}})",
       Kind::kJsonSchema, R"({"type":"object","properties":{"b":{},"a":{}}})"},
      {R"({"structured_outputs":{"json":{"type":"string"}}})", Kind::kJsonSchema,
       R"({"type":"string"})"},
      {R"({"structured_outputs":{"json":"{\"type\": \"string\"}"}})", Kind::kJsonSchema,
       R"({"type": "string"})"},
      {R"({"structured_outputs":{"regex":"a+"}})", Kind::kRegex, "a+"},
      {R"({"structured_outputs":{"grammar":"root ::= \"a\""}})", Kind::kEbnf, "root ::= \"a\""},
      {R"({"structured_outputs":{"json_object":true}})", Kind::kJsonObject, ""},
  };
  for (const auto& row : rows) {
    for (const bool chat : {false, true}) {
      const std::string text = std::string(row.body).substr(1);
      const std::string body = chat ? R"({"messages":[{"role":"user","content":"Hi"}],)" + text
                                    : R"({"prompt":"Hi",)" + text;
      const auto request = accept(chat ? parse_chat(body, json_headers(), context_)
                                       : parse_completion(body, json_headers(), context_));
      ASSERT_TRUE(request.grammar.has_value()) << row.body;
      EXPECT_EQ(request.grammar->kind, row.kind) << row.body;
      EXPECT_EQ(request.grammar->text, row.text) << "the order of keys stays";
    }
  }
  const auto choice = completion({{"structured_outputs", {{"choice", {"yes", "no"}}}}});
  EXPECT_EQ(choice.grammar->choices, (std::vector<std::string>{"yes", "no"}));
  EXPECT_FALSE(completion({{"response_format", {{"type", "text"}}}}).grammar.has_value());
}

TEST_F(StructuredFields, WhatDoesNotFitIsRefused) {
  EXPECT_THAT(
      refuse_completion({{"structured_outputs", {{"regex", "a"}, {"choice", {"b"}}}}}).message,
      HasSubstr("You can only use one kind of constraints for structured outputs"));
  EXPECT_THAT(refuse_completion({{"structured_outputs", json::object()}}).message,
              HasSubstr("You must use one kind of structured outputs constraint but none are"));
  EXPECT_THAT(refuse_chat({{"response_format", {{"type", "json_schema"}}}}).message,
              HasSubstr("the 'json_schema' field must be provided"));
  EXPECT_EQ(refuse_chat({{"response_format", {{"type", "yaml"}}}}).status, 400);
  EXPECT_EQ(refuse_completion({{"structured_outputs", {{"choice", {1}}}}}).status, 400);
  EXPECT_EQ(refuse_completion({{"guided_json", json::object({{"type", "string"}})}}).status, 501);
}

TEST_F(StructuredFields, AllowedTokensAreInTheVocabulary) {
  EXPECT_EQ(completion({{"allowed_token_ids", {5, 7}}}).allowed_token_ids,
            (std::vector<int32_t>{5, 7}));
  EXPECT_THAT(refuse_completion({{"allowed_token_ids", json::array()}}).message,
              HasSubstr("allowed_token_ids is not None and empty!"));
  EXPECT_THAT(refuse_completion({{"allowed_token_ids", {5, 99999}}}).message,
              HasSubstr("allowed_token_ids contains out-of-vocab token id! "
                        "(parameter=allowed_token_ids, value=[99999])"));
}

TEST_F(StructuredFields, ListsThatWouldSlowOthersDownAreRefused) {
  EXPECT_EQ(completion({{"stop_token_ids", std::vector<int>(1024, 5)}}).prompts.size(), 1u);
  EXPECT_THAT(refuse_completion({{"stop_token_ids", std::vector<int>(1025, 5)}}).message,
              HasSubstr("stop_token_ids has 1025 entries; this server takes at most 1024"));
  EXPECT_THAT(refuse_completion({{"bad_words", std::vector<std::string>(100000, "x")}}).message,
              HasSubstr("bad_words has 100000 entries"));
}

}  // namespace
}  // namespace touchstone::server::api
