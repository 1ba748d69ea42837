#include "reference_engine/server/api/parsers/answer_parser.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/sha256.h"
#include "reference_engine/server/api/python_text.h"

namespace touchstone::server::api {
namespace {

using Calls = AnswerFormat::Calls;

std::unique_ptr<ToolParser> make_tool_parser(const AnswerFormat& format) {
  switch (format.calls) {
    case Calls::kNone:
      return nullptr;
    case Calls::kAuto:
      return format.tools->make();
    case Calls::kRequired:
      return make_required_parser();
    case Calls::kNamed:
      return make_named_parser(format.named_tool);
  }
  return nullptr;
}

void append(ParsedText& to, ParsedText&& from) {
  to.reasoning += from.reasoning;
  to.content += from.content;
  for (ToolCallDelta& call : from.calls) to.calls.push_back(std::move(call));
}

std::string normal_arguments(const std::string& text) {
  const auto value = nlohmann::ordered_json::parse(text, nullptr, false);
  return value.is_discarded() ? text : python_json(value);
}

}  // namespace

AnswerParser::AnswerParser(const AnswerFormat& format)
    : format_(format), tools_(make_tool_parser(format)) {
  if (format.reasoning != nullptr) reasoning_.emplace(*format.reasoning);
}

void AnswerParser::take_content(std::string_view text, ParsedText& out) {
  if (text.empty()) return;
  if (tools_ != nullptr) {
    tools_->add(text, out);
  } else {
    out.content += text;
  }
}

/// What the client is told of it.
ParsedText AnswerParser::told(ParsedText&& out) {
  if (!format_.include_reasoning) out.reasoning.clear();
  called_ = called_ || !out.calls.empty();
  if (!format_.parallel_calls) {
    std::erase_if(out.calls, [](const ToolCallDelta& call) { return call.index > 0; });
  }
  return std::move(out);
}

ParsedText AnswerParser::add(std::string_view text) {
  ParsedText out;
  if (reasoning_) {
    take_content(reasoning_->add(text, out), out);
  } else {
    take_content(text, out);
  }
  return told(std::move(out));
}

ParsedText AnswerParser::finish() {
  ParsedText out;
  if (reasoning_) reasoning_->finish(out);
  if (tools_ != nullptr) tools_->finish(out);
  return told(std::move(out));
}

ParsedAnswer parse_answer(const AnswerFormat& format, std::string_view text) {
  AnswerParser parser(format);
  ParsedText all = parser.add(text);
  append(all, parser.finish());
  ParsedAnswer answer;
  const bool forced = format.calls == Calls::kRequired || format.calls == Calls::kNamed;
  for (const ToolCallDelta& delta : all.calls) {
    if (!delta.name.empty()) answer.calls.push_back({.name = delta.name, .arguments = {}});
    if (!answer.calls.empty()) answer.calls.back().arguments += delta.arguments;
  }
  if (!answer.calls.empty() && !parser.well_formed() && !forced) {
    // Half of a call helps nobody: the text as it was, without its reasoning.
    AnswerFormat without = format;
    without.calls = Calls::kNone;
    return parse_answer(without, text);
  }
  for (ToolCall& call : answer.calls) {
    if (format.calls != Calls::kNamed) call.arguments = normal_arguments(call.arguments);
  }
  if (format.reasoning != nullptr && format.include_reasoning && !all.reasoning.empty()) {
    answer.reasoning = std::move(all.reasoning);
  }
  const bool nothing =
      all.content.empty() && (!answer.calls.empty() || format.reasoning != nullptr);
  if (forced) {
    answer.content = "";
  } else if (!nothing) {
    answer.content = std::move(all.content);
  }
  return answer;
}

std::string tool_call_id(const AnswerFormat& format, std::string_view response_id, int32_t choice,
                         size_t index) {
  const std::string digest = sha256_hex(std::string(response_id) + "/" + std::to_string(choice) +
                                        "/" + std::to_string(index));
  return format.short_ids ? digest.substr(0, 9) : "chatcmpl-tool-" + digest.substr(0, 32);
}

}  // namespace touchstone::server::api
