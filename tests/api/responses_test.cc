// /v1/responses: what a body means as a chat, and how the answer is told.
#include "reference_engine/server/api/responses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/api/parsing.h"

namespace touchstone::server::api {
namespace {

using ::testing::HasSubstr;

class Responses : public Parsing {
 protected:
  ParsedGeneration parse(const json& body) {
    return parse_responses(body.dump(), json_headers(), context_);
  }
  GenerationRequest taken(const json& body) { return accept(parse(body)); }
  ApiError refused(const json& body) { return refuse(parse(body)); }
  std::string prompt_of_chat(const json& messages) {
    return chat({{"messages", messages}}).prompts[0].text;
  }
  /// The events of a stream that says `text` in pieces of `size`.
  std::vector<json> events(const GenerationRequest& request, const std::string& text, size_t size) {
    ResponsesStream stream(request, {.id = "resp_1", .created = 7});
    std::string out = stream.prompt_done(0, {});
    for (size_t at = 0; at < text.size(); at += size) {
      Choice delta;
      delta.text = text.substr(at, size);
      delta.token_ids = {1};
      if (at + size >= text.size()) delta.finish_reason = "stop";
      out += stream.delta(delta);
    }
    out += stream.finish();
    std::vector<json> all;
    size_t at = 0;
    while ((at = out.find("data: ", at)) != std::string::npos) {
      const size_t end = out.find("\n\n", at);
      all.push_back(json::parse(out.substr(at + 6, end - at - 6)));
      EXPECT_EQ(all.back()["sequence_number"], all.size() - 1);
      at = end;
    }
    return all;
  }
};

TEST_F(Responses, TheInputIsTheChatThatItMeans) {
  EXPECT_EQ(taken({{"input", "Hi"}}).prompts[0].text,
            prompt_of_chat({{{"role", "user"}, {"content", "Hi"}}}));
  EXPECT_EQ(taken({{"instructions", "Be short"},
                   {"input",
                    {{{"role", "user"}, {"content", {{{"type", "input_text"}, {"text", "Hi"}}}}},
                     {{"type", "reasoning"}, {"summary", json::array()}},
                     {{"type", "message"},
                      {"role", "assistant"},
                      {"content", {{{"type", "output_text"}, {"text", "Yes"}}}}},
                     {{"role", "user"}, {"content", "More"}}}}})
                .prompts[0]
                .text,
            prompt_of_chat({{{"role", "system"}, {"content", "Be short"}},
                            {{"role", "user"}, {"content", "Hi"}},
                            {{"role", "assistant"}, {"content", "Yes"}},
                            {{"role", "user"}, {"content", "More"}}}));
  const auto request = taken({{"input", "Hi"}, {"max_output_tokens", 5}, {"temperature", 0}});
  EXPECT_EQ(request.prompts[0].max_tokens, 5);
  EXPECT_EQ(request.sampling.temperature, 0);
}

TEST_F(Responses, ToolsAndFormatsAreThoseOfChats) {
  const json tool = {{"type", "function"},
                     {"name", "f"},
                     {"parameters", {{"type", "object"}, {"properties", json::object()}}}};
  const auto named = taken(
      {{"input", "Hi"}, {"tools", {tool}}, {"tool_choice", {{"type", "function"}, {"name", "f"}}}});
  EXPECT_EQ(named.format.calls, AnswerFormat::Calls::kNamed);
  const auto formatted = taken(
      {{"input", "Hi"},
       {"text",
        {{"format", {{"type", "json_schema"}, {"name", "n"}, {"schema", {{"type", "string"}}}}}}}});
  EXPECT_EQ(formatted.grammar->text, R"({"type":"string"})");
}

TEST_F(Responses, WhatNeedsAStoreOrDoesNotFitIsRefused) {
  EXPECT_EQ(refused({{"input", "Hi"}, {"previous_response_id", "resp_9"}}).status, 404);
  EXPECT_THAT(refused({{"input", "Hi"}, {"background", true}}).message, HasSubstr("VLLM_ENABLE_RESPONSES_API_STORE=1"));
  EXPECT_THAT(refused(json::object()).message, HasSubstr("Field required"));
  EXPECT_EQ(refused({{"input", 5}}).status, 400);
  EXPECT_EQ(refused({{"input", {5}}}).status, 400);
  EXPECT_EQ(refused({{"input", "Hi"}, {"truncation", "some"}}).status, 400);
  EXPECT_EQ(refused({{"input", "Hi"}, {"prompt", {{"id", "p"}}}}).status, 501);
  EXPECT_EQ(taken({{"input", "Hi"}, {"nonsense", 1}}).unknown_fields,
            (std::vector<std::string>{"nonsense"}));
}

TEST_F(Responses, AnAnswerIsAMessageWithItsUsage) {
  const auto request = taken({{"input", "Hi"}, {"metadata", {{"k", "v"}}}});
  Choice choice;
  choice.text = "Good day";
  choice.token_ids = {1, 2};
  choice.finish_reason = "length";
  const json answer = json::parse(responses_answer(request, {.id = "resp_1", .created = 7}, choice,
                                                   {.num_cached_tokens = 3, .logprobs = {}}));
  EXPECT_EQ(answer["object"], "response");
  EXPECT_EQ(answer["status"], "incomplete");
  EXPECT_EQ(answer["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(answer["metadata"]["k"], "v");
  EXPECT_EQ(answer["output"][0]["content"][0]["text"], "Good day");
  EXPECT_EQ(answer["usage"]["output_tokens"], 2);
  EXPECT_EQ(answer["usage"]["input_tokens_details"]["cached_tokens"], 3);
}

TEST_F(Responses, AStreamTellsWhatTheWholeAnswerSays) {
  context_.enable_auto_tool_choice = true;
  context_.tool_parser = &tool_parsers()[0];
  context_.reasoning_parser = &reasoning_parsers()[1];
  const json tool = {{"type", "function"}, {"name", "f"}};
  const auto request = taken({{"input", "Hi"}, {"tools", {tool}}});
  const std::string text =
      "hm</think>Look: <tool_call>{\"name\": \"f\", \"arguments\": {\"x\": 1}}</tool_call>";
  for (const size_t size : {1UL, 7UL, text.size()}) {
    const std::vector<json> all = events(request, text, size);
    EXPECT_EQ(all.front()["type"], "response.created");
    EXPECT_EQ(all[1]["type"], "response.in_progress");
    const json& last = all.back();
    ASSERT_EQ(last["type"], "response.completed");
    const json& output = last["response"]["output"];
    ASSERT_EQ(output.size(), 3u) << output;
    EXPECT_EQ(output[0]["content"][0]["text"], "hm");
    EXPECT_EQ(output[1]["content"][0]["text"], "Look: ");
    EXPECT_EQ(output[2]["arguments"], "{\"x\": 1}");
    std::string said;
    int added = 0;
    int done = 0;
    for (const json& event : all) {
      if (event["type"] == "response.output_text.delta") said += event["delta"];
      added += event["type"] == "response.output_item.added";
      done += event["type"] == "response.output_item.done";
    }
    EXPECT_EQ(said, "Look: ");
    EXPECT_EQ(added, 3);
    EXPECT_EQ(done, 3);
  }
}

TEST_F(Responses, AStreamWithoutTextStillHasItsMessage) {
  const auto request = taken({{"input", "Hi"}});
  ResponsesStream stream(request, {.id = "resp_1", .created = 7});
  (void)stream.prompt_done(0, {});
  Choice end;
  end.token_ids = {1};
  end.finish_reason = "stop";
  EXPECT_EQ(stream.delta(end), "");
  EXPECT_THAT(stream.finish(), HasSubstr("\"type\":\"message\""));
}

}  // namespace
}  // namespace touchstone::server::api
