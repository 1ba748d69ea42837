// Every field of vLLM's schemas is honoured, harmless or refused with its reason.
#include "reference_engine/server/api/known_fields.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/api/parsing.h"

namespace touchstone::server::api {
namespace {

class Fields : public Parsing {
 protected:
  std::string kind_name(BodyKind kind) { return std::to_string(static_cast<int>(kind)); }
  ApiError with(BodyKind kind, const std::string& name, const json& value) {
    json body = {{"model", context_.served_model_names.front()}};
    if (kind == BodyKind::kCompletion) body["prompt"] = "Speak";
    if (kind == BodyKind::kDetokenize) body["tokens"] = {1};
    if (kind == BodyKind::kChat || (kind == BodyKind::kTokenize && name != "prompt")) {
      body["messages"] = {{{"role", "user"}, {"content", "Hi"}}};
    }
    body[name] = value;
    const auto refused = [](const auto& parsed) {
      const auto* error = std::get_if<ApiError>(&parsed);
      return error == nullptr ? ApiError{200, "", "", std::nullopt} : *error;
    };
    const std::string text = body.dump();
    switch (kind) {
      case BodyKind::kCompletion:
        return refused(parse_completion(text, json_headers(), context_));
      case BodyKind::kChat:
        return refused(parse_chat(text, json_headers(), context_));
      case BodyKind::kTokenize:
        return refused(parse_tokenize(text, json_headers(), context_));
      default:
        return refused(parse_detokenize(text, json_headers(), context_));
    }
  }
  static constexpr BodyKind kKinds[] = {BodyKind::kCompletion, BodyKind::kChat, BodyKind::kTokenize,
                                        BodyKind::kDetokenize};
};

TEST_F(Fields, WhatTheTableCallsHonouredIsReadAndWhatItRefusesIsRefusedWithItsReason) {
  // Passed on to the template as they are, whatever they are.
  const std::set<std::string> any_value = {"documents", "tools"};
  for (const KnownField& field : known_fields()) {
    for (const BodyKind kind : kKinds) {
      if ((field.kinds & static_cast<unsigned>(kind)) == 0) continue;
      const std::string where = std::string(field.name) + " of " + kind_name(kind);
      // No schema takes a list of a list with an object: who reads the field says so.
      const ApiError odd = with(kind, field.name, json::parse(R"([[{"odd":1}]])"));
      switch (field.use) {
        case KnownField::Use::kHonoured:
          EXPECT_TRUE(odd.status != 200 || any_value.contains(field.name)) << where;
          break;
        case KnownField::Use::kRefused:
          if (field.is_boolean) break;
          EXPECT_EQ(odd.status, 501) << where;
          EXPECT_NE(odd.message.find(field.reason), std::string::npos) << odd.message;
          for (const char* neutral : {"null", "[]", "{}", "\"\"", "false"}) {
            EXPECT_EQ(with(kind, field.name, json::parse(neutral)).status, 200) << where << neutral;
          }
          if (field.neutral != nullptr) {
            EXPECT_EQ(with(kind, field.name, json::parse(field.neutral)).status, 200) << where;
          }
          break;
        case KnownField::Use::kHarmless:
          EXPECT_STRNE(field.reason, "") << where;
      }
    }
  }
}

TEST_F(Fields, NoFieldStandsTwiceForABody) {
  std::map<std::string, unsigned> seen;
  for (const KnownField& field : known_fields()) {
    EXPECT_EQ(seen[field.name] & field.kinds, 0u) << field.name;
    seen[field.name] |= field.kinds;
  }
}

TEST_F(Fields, WhatNoRowNamesIsListed) {
  EXPECT_EQ(completion({{"max_token", 3}, {"temprature", 1}}).unknown_fields,
            (std::vector<std::string>{"max_token", "temprature"}));
  EXPECT_TRUE(completion({{"user", "me"}}).unknown_fields.empty());
  json many = json::object();
  for (int i = 0; i < 30; ++i) many["x" + std::to_string(i)] = 1;
  EXPECT_EQ(chat(many).unknown_fields.size(), 10u);
}

}  // namespace
}  // namespace touchstone::server::api
