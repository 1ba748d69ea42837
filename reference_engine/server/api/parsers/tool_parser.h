// The table of formats in which models write calls of tools, and the interface of their parsers:
// one file and one row each. A parser takes text in pieces as it is generated; how it was cut does
// not matter. Thread-compatible. Source: vLLM 0.32 tool_parsers/, parser/.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference_engine/server/api/parsers/parsed_text.h"

namespace touchstone::server::api {

class ToolParser {
 public:
  virtual ~ToolParser() = default;
  virtual void add(std::string_view text, ParsedText& out) = 0;
  /// The answer is over: what was held back. Text that only looked like a call becomes content.
  virtual void finish(ParsedText& out) = 0;
  /// After finish(): every call that began was told in full.
  virtual bool well_formed() const = 0;
};

struct ToolParserRow {
  const char* name;  ///< of --tool-call-parser
  std::unique_ptr<ToolParser> (*make)();
  /// Calls are named as Mistral's templates want it: nine letters and digits.
  bool short_ids = false;
  /// The marks of calls are special tokens in some models: they must stay in the text.
  bool keeps_special_tokens = false;
};
std::span<const ToolParserRow> tool_parsers();

std::unique_ptr<ToolParser> make_hermes_parser();       // hermes.cc
std::unique_ptr<ToolParser> make_llama3_json_parser();  // llama3_json.cc
std::unique_ptr<ToolParser> make_mistral_parser();      // mistral.cc
std::unique_ptr<ToolParser> make_pythonic_parser();     // pythonic.cc
/// tool_choice "required": a JSON array of calls, as the grammar of the request demands it.
std::unique_ptr<ToolParser> make_required_parser();  // forced_calls.cc
/// A named tool: the answer is its arguments.
std::unique_ptr<ToolParser> make_named_parser(std::string name);  // forced_calls.cc

}  // namespace touchstone::server::api
