// What answers turn out to be: reasoning, content and calls, however the text is cut.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "reference_engine/server/api/parsers/answer_parser.h"

namespace touchstone::server::api {
namespace {

const ToolParserRow* tool_row(const std::string& name) {
  for (const ToolParserRow& row : tool_parsers()) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

const ReasoningParserRow* reasoning_row(const std::string& name) {
  for (const ReasoningParserRow& row : reasoning_parsers()) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

AnswerFormat format_of(const std::string& tools, const std::string& reasoning = {}) {
  AnswerFormat format;
  if (!tools.empty()) {
    format.calls = AnswerFormat::Calls::kAuto;
    format.tools = tool_row(tools);
  }
  if (!reasoning.empty()) format.reasoning = reasoning_row(reasoning);
  return format;
}

/// What a stream told, joined.
struct Told {
  std::string reasoning;
  std::string content;
  std::vector<ToolCall> calls;

  void add(const ParsedText& parsed) {
    reasoning += parsed.reasoning;
    content += parsed.content;
    for (const ToolCallDelta& delta : parsed.calls) {
      if (delta.index == calls.size()) calls.push_back({.name = delta.name, .arguments = {}});
      EXPECT_LT(delta.index, calls.size()) << "a call begins with its name";
      if (delta.index < calls.size()) calls[delta.index].arguments += delta.arguments;
    }
  }
  bool operator==(const Told& other) const {
    const auto same = [](const ToolCall& a, const ToolCall& b) {
      return a.name == b.name && a.arguments == b.arguments;
    };
    return reasoning == other.reasoning && content == other.content &&
           std::equal(calls.begin(), calls.end(), other.calls.begin(), other.calls.end(), same);
  }
  std::string text() const {
    std::string out = "[" + reasoning + "][" + content + "]";
    for (const ToolCall& call : calls) out += " " + call.name + "(" + call.arguments + ")";
    return out;
  }
};

Told streamed(const AnswerFormat& format, const std::vector<std::string>& pieces) {
  AnswerParser parser(format);
  Told told;
  for (const std::string& piece : pieces) told.add(parser.add(piece));
  told.add(parser.finish());
  return told;
}

struct Case {
  const char* tools;
  const char* reasoning;
  std::string text;
  std::string told;  ///< by a stream
  bool well_formed = true;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"hermes", "", "Just text < with a bracket", "[][Just text < with a bracket]"},
      {"hermes", "", "Look:<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>",
       "[][Look:] f({\"x\": 1})"},
      {"hermes", "",
       "<tool_call>{\"name\":\"f\",\"arguments\":{\"s\":\"a}\\\"{\"}}</tool_call>\nand\n"
       "<tool_call>{\"arguments\": {}, \"name\": \"g\"}</tool_call>",
       "[][] f({\"s\":\"a}\\\"{\"}) g({})"},
      {"hermes", "", "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\": [1, {\"y\": 2}]}}",
       "[][] f({\"x\": [1, {\"y\": 2}]})"},
      {"hermes", "", "a <tool_call>nonsense</tool_call>", "[][a <tool_call>nonsense</tool_call>]",
       false},
      {"hermes", "", "a <tool_cal", "[][a <tool_cal]"},
      {"hermes", "", "<tool_call>{\"name\": \"f\", \"arguments\": {\"x\"", "[][] f({\"x\")", false},
      {"llama3_json", "", "{\"name\": \"f\", \"parameters\": {\"x\": 1}}", "[][] f({\"x\": 1})"},
      {"llama3_json", "",
       "<|python_tag|>{\"name\": \"f\", \"arguments\": {}}; {\"name\": \"g\", \"parameters\": {}}",
       "[][] f({}) g({})"},
      {"llama3_json", "", "{\"type\": \"no call\"}", "[][{\"type\": \"no call\"}]", false},
      {"llama3_json", "", "Sure, {\"name\": 1}", "[][Sure, {\"name\": 1}]"},
      {"llama3_json", "", "<|python", "[][<|python]"},
      {"mistral", "",
       "Hm [TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"x\": 1}}, {\"name\": "
       "\"g\", \"arguments\": {}}]",
       "[][Hm ] f({\"x\": 1}) g({})"},
      {"mistral", "", "[TOOL_CALLS]f{\"x\": \"}\"}[TOOL_CALLS]g[ARGS]{}",
       "[][] f({\"x\": \"}\"}) g({})"},
      {"mistral", "", "[TOOL_CALLS]f[CALL_ID]123456789[ARGS]{\"x\": 1}", "[][] f({\"x\": 1})"},
      {"mistral", "", "[TOOL", "[][[TOOL]"},
      {"pythonic", "", "[f(a=1, b='x\\'y'), g.h(c=[True, None, {'k': -2.5}])]",
       "[][] f({\"a\": 1, \"b\": \"x'y\"}) g.h({\"c\": [true, null, {\"k\": -2.5}]})"},
      {"pythonic", "", "[1, 2]", "[][[1, 2]]", false},
      {"pythonic", "", "no [f()]", "[][no [f()]]"},
      {"", "deepseek_r1", "so it is</think>\n\nYes", "[so it is][\n\nYes]"},
      {"", "deepseek_r1", "<think>so it is</think>Yes</think>", "[so it is][Yes</think>]"},
      {"", "deepseek_r1", "never ends </thin", "[never ends </thin][]"},
      {"hermes", "qwen3",
       "<think>\nhm\n</think>\n<tool_call>{\"name\":\"f\",\"arguments\":{}}"
       "</tool_call>",
       "[\nhm\n][\n] f({})"},
      {"hermes", "qwen3", "hm<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>",
       "[hm][] f({})"},
  };
  return kCases;
}

TEST(ToolParsers, AStreamTellsWhatTheTextIs) {
  for (const Case& each : cases()) {
    EXPECT_EQ(streamed(format_of(each.tools, each.reasoning), {each.text}).text(), each.told)
        << each.text;
  }
}

TEST(ToolParsers, HowTheTextIsCutDoesNotMatter) {
  for (const Case& each : cases()) {
    const AnswerFormat format = format_of(each.tools, each.reasoning);
    const Told whole = streamed(format, {each.text});
    for (size_t cut = 0; cut <= each.text.size(); ++cut) {
      EXPECT_EQ(streamed(format, {each.text.substr(0, cut), each.text.substr(cut)}), whole)
          << each.text << " cut at " << cut;
    }
    std::vector<std::string> characters;
    for (const char c : each.text) characters.emplace_back(1, c);
    EXPECT_EQ(streamed(format, characters), whole) << each.text;
    RandomStream random(7, "cuts");
    for (int round = 0; round < 100; ++round) {
      std::vector<std::string> pieces(1);
      for (const char c : each.text) {
        if (random.next() % 4 == 0) pieces.emplace_back();
        pieces.back() += c;
      }
      EXPECT_EQ(streamed(format, pieces), whole) << each.text;
    }
  }
}

TEST(ToolParsers, TheWholeAnswerSaysTheSameWhereItIsWellFormed) {
  for (const Case& each : cases()) {
    const AnswerFormat format = format_of(each.tools, each.reasoning);
    const Told told = streamed(format, {each.text});
    const ParsedAnswer answer = parse_answer(format, each.text);
    if (!each.well_formed) {
      EXPECT_TRUE(answer.calls.empty()) << each.text;
      EXPECT_EQ(answer.content, each.text);
      continue;
    }
    EXPECT_EQ(answer.reasoning.value_or(""), told.reasoning) << each.text;
    EXPECT_EQ(answer.content.value_or(""), told.content) << each.text;
    ASSERT_EQ(answer.calls.size(), told.calls.size()) << each.text;
    for (size_t i = 0; i < told.calls.size(); ++i) {
      EXPECT_EQ(answer.calls[i].name, told.calls[i].name);
      EXPECT_EQ(nlohmann::json::parse(answer.calls[i].arguments),
                nlohmann::json::parse(told.calls[i].arguments));
    }
  }
}

TEST(ToolParsers, ContentIsNullWhereCallsTakeItsPlaceAndArgumentsAreAsPythonDumpsThem) {
  const ParsedAnswer answer = parse_answer(
      format_of("hermes"),
      "<tool_call>{\"name\":\"f\",\"arguments\":{\"b\":[1,2],\"a\":\"\xC3\xA9\"}}</tool_call>");
  EXPECT_EQ(answer.content, std::nullopt);
  ASSERT_EQ(answer.calls.size(), 1u);
  EXPECT_EQ(answer.calls[0].arguments, "{\"b\": [1, 2], \"a\": \"\xC3\xA9\"}");
  EXPECT_EQ(parse_answer(format_of("hermes"), "").content, "");
}

TEST(ToolParsers, WithoutParallelCallsTheFirstAloneIsTold) {
  AnswerFormat format = format_of("llama3_json");
  format.parallel_calls = false;
  const std::string text = "{\"name\":\"f\",\"parameters\":{}};{\"name\":\"g\",\"parameters\":{}}";
  EXPECT_EQ(streamed(format, {text}).text(), "[][] f({})");
  EXPECT_EQ(parse_answer(format, text).calls.size(), 1u);
}

TEST(ToolParsers, ForcedCallsAreReadFromWhatTheGrammarAllows) {
  AnswerFormat required;
  required.calls = AnswerFormat::Calls::kRequired;
  const std::string text =
      "[{\"name\": \"f\", \"parameters\": {\"x\": 1}}, {\"name\":\"g\",\"parameters\":{}}]";
  EXPECT_EQ(streamed(required, {text}).text(), "[][] f({\"x\": 1}) g({})");
  EXPECT_EQ(parse_answer(required, text).content, "");
  AnswerFormat named;
  named.calls = AnswerFormat::Calls::kNamed;
  named.named_tool = "f";
  EXPECT_EQ(streamed(named, {"{\"x\"", ": 1}"}).text(), "[][] f({\"x\": 1})");
}

TEST(ToolParsers, ReasoningThatIsNotWantedIsLeftOut) {
  AnswerFormat format = format_of("", "deepseek_r1");
  format.include_reasoning = false;
  EXPECT_EQ(streamed(format, {"hm</think>Yes"}).text(), "[][Yes]");
  EXPECT_EQ(parse_answer(format, "hm</think>Yes").reasoning, std::nullopt);
}

TEST(ToolParsers, ThePromptMayEndTheReasoningBeforeItBegins) {
  const ReasoningParserRow& row = *reasoning_row("qwen3");
  EXPECT_TRUE(reasons_after(row, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_FALSE(reasons_after(row, "<|im_start|>assistant\n<think>\n\n</think>\n\n"));
  EXPECT_TRUE(reasons_after(row, "<think>old</think><|im_start|>assistant\n<think>\n"));
}

TEST(ToolParsers, IdsOfCallsAreTheirOwnAndRepeat) {
  const AnswerFormat format = format_of("hermes");
  AnswerFormat short_ids = format;
  short_ids.short_ids = true;
  EXPECT_EQ(tool_call_id(format, "chatcmpl-1", 0, 0), tool_call_id(format, "chatcmpl-1", 0, 0));
  EXPECT_NE(tool_call_id(format, "chatcmpl-1", 0, 0), tool_call_id(format, "chatcmpl-1", 0, 1));
  EXPECT_NE(tool_call_id(format, "chatcmpl-1", 0, 0), tool_call_id(format, "chatcmpl-1", 1, 0));
  EXPECT_TRUE(tool_call_id(format, "x", 0, 0).starts_with("chatcmpl-tool-"));
  EXPECT_EQ(tool_call_id(short_ids, "x", 0, 0).size(), 9u);
}

}  // namespace
}  // namespace touchstone::server::api
