// Tools of a chat request: what the template sees, what the answer must be, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reference_engine/server/api/response.h"
#include "tests/api/parsing.h"

namespace touchstone::server::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Calls = AnswerFormat::Calls;

class Tools : public Parsing {
 protected:
  void SetUp() override {
    auto parsed = chat_template::ChatTemplate::parse(
        "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}"
        "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}"
        "{{ c.function.arguments.x }}{% endfor %}{% endfor %}");
    template_ = *std::move(parsed);
    context_.chat_template = template_.get();
    context_.enable_auto_tool_choice = true;
    context_.tool_parser = &tool_parsers()[0];
  }
  static json tool(const std::string& name) {
    return {
        {"type", "function"},
        {"function",
         {{"name", name},
          {"parameters", {{"type", "object"}, {"properties", {{"x", {{"type", "integer"}}}}}}}}}};
  }
  json with(json fields) {
    fields["tools"] = {tool("f"), tool("g")};
    return fields;
  }

  std::unique_ptr<chat_template::ChatTemplate> template_;
};

TEST_F(Tools, TheTemplateSeesThemInTheOrderOfTheirModel) {
  const std::string body =
      R"({"messages":[{"role":"user","content":"Hi"}],"tools":[{"function":{"parameters":
         {"type":"object","properties":{"z":{},"a":{}}},"name":"f"},"type":"function"}]})";
  const auto request = accept(parse_chat(body, json_headers(), context_));
  EXPECT_EQ(request.prompts[0].text,
            R"({"type": "function", "function": {"name": "f", "description": null, "parameters": )"
            R"({"type": "object", "properties": {"z": {}, "a": {}}}}}Hi)");
  EXPECT_EQ(request.format.calls, Calls::kAuto);
  EXPECT_FALSE(request.skip_special_tokens) << "the marks of calls may be special tokens";
}

TEST_F(Tools, TheChoiceDecidesHowTheAnswerIsRead) {
  EXPECT_EQ(chat(with({})).format.calls, Calls::kAuto);
  EXPECT_EQ(chat(with({{"tool_choice", "auto"}})).format.calls, Calls::kAuto);
  EXPECT_EQ(chat(with({{"tool_choice", "none"}})).format.calls, Calls::kNone);
  const auto required = chat(with({{"tool_choice", "required"}, {"parallel_tool_calls", false}}));
  EXPECT_EQ(required.format.calls, Calls::kRequired);
  EXPECT_THAT(required.grammar->text, HasSubstr(R"("enum":["g"])"));
  EXPECT_THAT(required.grammar->text, HasSubstr(R"("maxItems":1)"));
  const auto named =
      chat(with({{"tool_choice", {{"type", "function"}, {"function", {{"name", "g"}}}}}}));
  EXPECT_EQ(named.format.calls, Calls::kNamed);
  EXPECT_EQ(named.format.named_tool, "g");
  EXPECT_THAT(named.grammar->text, HasSubstr("integer"));
}

TEST_F(Tools, ToolsThatMustNotBeCalledMayBeHidden) {
  EXPECT_THAT(chat(with({{"tool_choice", "none"}})).prompts[0].text, HasSubstr("\"f\""));
  context_.exclude_tools_when_tool_choice_none = true;
  EXPECT_THAT(chat(with({{"tool_choice", "none"}})).prompts[0].text, Not(HasSubstr("\"f\"")));
}

TEST_F(Tools, WhatDoesNotFitIsRefused) {
  EXPECT_THAT(refuse_chat(with({{"tool_choice", "maybe"}})).message,
              HasSubstr("Invalid value for `tool_choice`: maybe!"));
  EXPECT_THAT(
      refuse_chat(with({{"tool_choice", {{"function", {{"name", "h"}}}}}})).message,
      HasSubstr("The tool specified in `tool_choice` does not match any of the specified `tools`"));
  EXPECT_THAT(refuse_chat({{"tool_choice", "auto"}}).message, HasSubstr("`tools` must be set"));
  EXPECT_EQ(refuse_chat({{"tools", {{{"type", "function"}}}}}).status, 400);
  EXPECT_EQ(refuse_chat({{"tools", {{{"type", "web"}, {"function", {{"name", "f"}}}}}}}).status,
            400);
  context_.enable_auto_tool_choice = false;
  EXPECT_THAT(refuse_chat(with({})).message,
              HasSubstr("\"auto\" tool choice requires --enable-auto-tool-choice"));
}

TEST_F(Tools, ArgumentsOfEarlierCallsAreObjectsForTheTemplate) {
  const auto request = chat({{"messages",
                              {{{"role", "assistant"},
                                {"content", nullptr},
                                {"tool_calls",
                                 {{{"id", "1"},
                                   {"type", "function"},
                                   {"function", {{"name", "f"}, {"arguments", "{\"x\": 42}"}}}}}}},
                               {{"role", "tool"}, {"tool_call_id", "1"}, {"content", "ok"}}}}});
  EXPECT_EQ(request.prompts[0].text, "42ok");
}

TEST_F(Tools, AnswersAndStreamsCarryTheCalls) {
  const auto request = chat(with({}));
  Choice choice;
  choice.text = "Hm <tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call>";
  choice.token_ids = {1, 2, 3};
  choice.finish_reason = "stop";
  const std::vector<PromptResult> prompts(1);
  const ResponseHead head{.id = "chatcmpl-1", .created = 1};
  const json answer =
      json::parse(full_response(request, context_, head, {&choice, 1}, prompts))["choices"][0];
  EXPECT_EQ(answer["finish_reason"], "tool_calls");
  EXPECT_EQ(answer["message"]["content"], "Hm ");
  EXPECT_EQ(answer["message"]["tool_calls"][0]["function"]["name"], "f");
  EXPECT_EQ(answer["message"]["tool_calls"][0]["function"]["arguments"], "{\"x\": 1}");

  EventStream events(request, context_, head);
  (void)events.prompt_done(0, {});
  std::string told;
  for (size_t i = 0; i < choice.text.size(); ++i) {
    Choice delta;
    delta.text = choice.text.substr(i, 1);
    delta.token_ids = {1};
    if (i + 1 == choice.text.size()) delta.finish_reason = "stop";
    told += events.delta(delta);
  }
  EXPECT_THAT(told, HasSubstr(R"("index":0,"function":{"name":"f"})"));
  EXPECT_THAT(told, HasSubstr(R"("finish_reason":"tool_calls")"));
  EXPECT_THAT(told, Not(HasSubstr("<tool")));
  EXPECT_THAT(told, HasSubstr("chatcmpl-tool-"));
}

}  // namespace
}  // namespace touchstone::server::api
