// Text of models against every parser of calls and reasoning: the first byte chooses the parser,
// the second how the text is cut. However it is cut, the same must come out.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "reference_engine/server/api/parsers/answer_parser.h"

namespace {

using touchstone::server::api::AnswerFormat;
using touchstone::server::api::AnswerParser;
using touchstone::server::api::ParsedText;

std::string told(const AnswerFormat& format, std::string_view text, size_t piece) {
  AnswerParser parser(format);
  std::string reasoning;
  std::string content;
  std::string calls;
  size_t latest = SIZE_MAX;
  const auto add = [&](const ParsedText& parsed) {
    reasoning += parsed.reasoning;
    content += parsed.content;
    for (const auto& call : parsed.calls) {
      if (call.index != latest) calls += "\n" + std::to_string(call.index) + call.name + "(";
      latest = call.index;
      calls += call.arguments;
    }
  };
  for (size_t at = 0; at < text.size(); at += piece) add(parser.add(text.substr(at, piece)));
  add(parser.finish());
  return reasoning + "\n" + content + "\n" + calls;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto tools = touchstone::server::api::tool_parsers();
  AnswerFormat format;
  const size_t which = data[0] % (tools.size() + 1);
  if (which < tools.size()) {
    format.calls = AnswerFormat::Calls::kAuto;
    format.tools = &tools[which];
  } else {
    format.calls = AnswerFormat::Calls::kRequired;
  }
  const auto reasoning = touchstone::server::api::reasoning_parsers();
  if (data[0] & 128) format.reasoning = &reasoning[data[0] / 64 % reasoning.size()];
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = told(format, text, text.size() + 1);
  BASE_CHECK(told(format, text, 1) == whole, "one character at a time");
  BASE_CHECK(told(format, text, 1 + data[1] % 7) == whole, "cut");
  (void)touchstone::server::api::parse_answer(format, text);
  return 0;
}
