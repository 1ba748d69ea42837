// Keywords that would be left out are refused by name; the others pass.
#include "reference_engine/grammar/schema_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reference_engine/grammar/repetition_check.h"

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
      {R"({"type":"object","patternProperties":{"a":{},"b":{}}})", "patternProperties"},
      {R"({"minimum":3})", "minimum without type at \"#\""},
      {R"({"required":["a"]})", "required without type at"},
      {R"({"type":"object","required":["a"]})", "required \"a\", which is not among properties"},
      {R"({"$ref":"#/$defs/a","maxLength":2,"$defs":{"a":{"type":"string"}}})",
       "maxLength beside $ref at \"#\""},
      {R"({"type":"object","anyOf":[{"required":["a"]}],"properties":{"a":{}}})",
       "properties beside anyOf"},
      {R"({"type":"string","enum":["a",1]})", "type beside enum"},
      {R"({"type":"object","anyOf":[{"type":"null"}]})", "type beside anyOf"},
      {R"({"const":1,"enum":[1,2]})", "enum beside const"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "oneOf whose parts"},
      {R"({"oneOf":[{"type":"string","pattern":"a"},{"type":"string","pattern":"b"}]})",
       "oneOf whose parts"},
      {R"({"type":"string","pattern":"a","format":"date"})", "pattern together with format"},
      {R"({"$defs":{"x":{"contains":{}}}})", "contains at \"#/$defs/x\""},
  };
  for (const auto& row : rows) {
    const Status checked = check_schema(row.schema, {});
    ASSERT_FALSE(checked) << row.schema;
    EXPECT_EQ(checked.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(checked.error().message, HasSubstr(row.message)) << row.schema;
  }
}

TEST(SchemaCheck, WordsThatAreNoKeywordsPass) {
  for (const char* schema :
       {R"({"properties":{"not":{"type":"string"},"contains":{},"format":{}}})",
        R"({"enum":[{"not":1}],"default":{"if":2}})", R"({"uniqueItems":false})",
        R"({"type":"string","format":"date-time"})", R"({"allOf":[{"type":"string"}]})", "true",
        R"({"type":"string","enum":["a","b"]})", R"({"type":["string","null"],"enum":["a",null]})",
        R"({"anyOf":[{"type":"string"},{"type":"null"}],"default":null,"title":"T"})",
        R"({"type":"object","anyOf":[{"type":"object"},{"properties":{"a":{}}}]})",
        R"({"type":"string","minimum":3})", R"({"properties":{"a":{}},"required":["a"]})",
        R"({"oneOf":[{"type":"integer"},{"type":"string"},{"const":null}]})",
        R"({"oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]},
                     {"type":"object","properties":{"k":{"const":"b"}},"required":["k"]}]})",
        R"({"type":"object","propertyNames":{"pattern":"^[a-z]+$"}})"}) {
    const Status checked = check_schema(schema, {});
    EXPECT_TRUE(checked) << schema;
  }
}

TEST(SchemaCheck, DepthAndFormAreLimited) {
  std::string deep = "{}";
  for (int i = 0; i < 40; ++i) deep = R"({"items":)" + deep + "}";
  EXPECT_THAT(check_schema(deep, {}).error().message, HasSubstr("nested too deeply"));
  GrammarLimits deeper;
  deeper.depth_max = 64;
  EXPECT_TRUE(check_schema(deep, deeper));
  EXPECT_EQ(check_schema("[]", {}).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(check_schema("{", {}).error().code, ErrorCode::kMalformed);
}

TEST(SchemaCheck, WhatIsTooDearIsRefusedWithItsNumbers) {
  const struct {
    const char* schema;
    const char* message;
  } rows[] = {
      {R"({"type":"string","maxLength":100000})", "maxLength at \"#\": got 100000"},
      {R"({"type":"array","items":{"type":"integer"},"minItems":70000})", "minItems at"},
      {R"({"type":"string","pattern":"^(a{1,1000}){1,1000}$"})", "multiplied: got 1000000"},
      {R"({"type":"string","pattern":"^((a|b)*(c|d)*(e|f)*){1,300}$"})", "multiplied: got 1200"},
      {R"({"type":"object","patternProperties":{"^a{1,100000}$":{}}})", "got 100000"},
  };
  for (const auto& row : rows) {
    const Status checked = check_schema(row.schema, {});
    ASSERT_FALSE(checked) << row.schema;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(checked.error().message, HasSubstr(row.message)) << row.schema;
  }
  std::string many = R"({"enum":[0)";
  for (int i = 1; i <= 5000; ++i) many += "," + std::to_string(i);
  EXPECT_THAT(check_schema(many + "]}", {}).error().message, HasSubstr("got 5001 of them"));
}

TEST(SchemaCheck, SchemasWithinStructuralTagsAreLookedAtToo) {
  const auto tagged = [](const std::string& schema) {
    return check_structural_tag(
        R"({"type":"structural_tag","structures":[{"begin":"<a>","schema":)" + schema +
            R"(,"end":"</a>"}],"triggers":["<a>"]})",
        {});
  };
  EXPECT_TRUE(tagged(R"({"type":"object"})"));
  EXPECT_THAT(tagged(R"({"type":"array","uniqueItems":true})").error().message,
              HasSubstr("uniqueItems at"));
  EXPECT_THAT(check_structural_tag(std::string(40, '[') + std::string(40, ']'), {}).error().message,
              HasSubstr("expected a JSON object"));
}

TEST(RepetitionCheck, CountsMultiplyOnlyWhereItIsOpenWhichOneACharacterBelongsTo) {
  const auto taken = [](const char* regex) { return check_regex_cost(regex, {}).has_value(); };
  EXPECT_TRUE(taken("[0-9]{1,65535}"));
  EXPECT_FALSE(taken("a{1,65536}"));
  EXPECT_FALSE(taken("a{65536}"));
  EXPECT_TRUE(taken("([0-9]{3}){1000}")) << "every digit has one place";
  EXPECT_TRUE(taken("([0-9]{1,3}\\.){3}[0-9]{1,3}"));
  EXPECT_FALSE(taken("(a{1,100}){1,100}"));
  EXPECT_FALSE(taken("((a{1,3}){1,3}b){200}"));
  EXPECT_TRUE(taken("\\(a{1,100}\\){1,100}")) << "escaped: no group";
  EXPECT_TRUE(taken("[(]a{1,100}[)]{1,100}")) << "in classes: no group";
  EXPECT_TRUE(taken("a{,3}b{x}{")) << "the parser knows what these are";
  EXPECT_FALSE(check_ebnf_cost("root ::= (\"a\" {1, 100}) {1, 100}", {}));
  EXPECT_TRUE(check_ebnf_cost("root ::= \"(\" \"a\"{1,100} # {1,99999}\n", {}));
  std::string branches = "a";
  for (int i = 0; i < 5000; ++i) branches += "|b";
  EXPECT_FALSE(taken(branches.c_str()));
  std::string optionals;
  for (int i = 0; i < 3000; ++i) optionals += "a?";
  EXPECT_FALSE(taken(optionals.c_str()));
}

}  // namespace
}  // namespace touchstone::grammar
