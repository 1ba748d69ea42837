// Keywords that would be left out are refused by name; the others pass.
#include "reference_engine/grammar/schema_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace touchstone::grammar {
namespace {

using ::testing::HasSubstr;

TEST(SchemaCheck, WhatWouldBeLeftOutIsRefusedWithItsPlace) {
  const struct {
    const char* schema;
    const char* message;
  } rows[] = {
      {R"({"type":"array","uniqueItems":true})", "uniqueItems at \"#\""},
      {R"({"properties":{"a":{"type":"integer","multipleOf":3}}})",
       "multipleOf at \"#/properties/a\""},
      {R"({"not":{"type":"string"}})", "not at"},
      {R"({"if":{},"then":{}})", "if at"},
      {R"({"type":"string","format":"color"})", "format \"color\" at"},
      {R"({"type":["string","null"],"format":"color"})", "format \"color\" at"},
      {R"({"type":"string","pattern":"a","minLength":2})", "minLength or maxLength together"},
      {R"({"allOf":[{"type":"string"},{"enum":["a"]}]})", "allOf of more than one at"},
      {R"({"anyOf":[{"type":"object","propertyNames":{},"properties":{}}]})",
       "propertyNames together with properties at \"#/anyOf/0\""},
      {R"({"patternProperties":{"a":{},"b":{}}})", "patternProperties"},
      {R"({"$defs":{"x":{"contains":{}}}})", "contains at \"#/$defs/x\""},
  };
  for (const auto& row : rows) {
    const Status checked = check_schema(row.schema, 32);
    ASSERT_FALSE(checked) << row.schema;
    EXPECT_EQ(checked.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(checked.error().message, HasSubstr(row.message)) << row.schema;
  }
}

TEST(SchemaCheck, WordsThatAreNoKeywordsPass) {
  for (const char* schema :
       {R"({"properties":{"not":{"type":"string"},"contains":{},"format":{}}})",
        R"({"enum":[{"not":1}],"default":{"if":2}})", R"({"uniqueItems":false})",
        R"({"type":"string","format":"date-time"})", R"({"allOf":[{"type":"string"}]})", "true"}) {
    const Status checked = check_schema(schema, 32);
    EXPECT_TRUE(checked) << schema;
  }
}

TEST(SchemaCheck, DepthAndFormAreLimited) {
  std::string deep = "{}";
  for (int i = 0; i < 40; ++i) deep = R"({"items":)" + deep + "}";
  EXPECT_THAT(check_schema(deep, 32).error().message, HasSubstr("nested too deeply"));
  EXPECT_TRUE(check_schema(deep, 64));
  EXPECT_EQ(check_schema("[]", 32).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(check_schema("{", 32).error().code, ErrorCode::kMalformed);
}

}  // namespace
}  // namespace touchstone::grammar
