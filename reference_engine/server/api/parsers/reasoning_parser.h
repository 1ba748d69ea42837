// Tells the reasoning of a model, which comes first, from its answer. Formats are rows: a mark in
// front, which may be missing, and one behind. A parser takes text in pieces. Thread-compatible.
// Source: vLLM 0.32 reasoning/deepseek_r1_reasoning_parser.py, parser/qwen3.py.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "reference_engine/server/api/parsers/parsed_text.h"

namespace touchstone::server::api {

struct ReasoningParserRow {
  const char* name;  ///< of --reasoning-parser
  std::string_view open;
  std::string_view close;
  /// A mark that also ends the reasoning, and stays; empty: none.
  std::string_view also_closes;
  /// The template's argument that switches reasoning off when it is false; nullptr: none.
  const char* switch_argument;
};
std::span<const ReasoningParserRow> reasoning_parsers();

/// Whether the answer to `prompt` begins with reasoning: not when the prompt's last mark, in its
/// latest turn, already ends it.
bool reasons_after(const ReasoningParserRow& row, std::string_view prompt);

class ReasoningParser final {
 public:
  explicit ReasoningParser(const ReasoningParserRow& row) : row_(row) {}

  /// Appends to out.reasoning; returns what belongs to the answer.
  std::string add(std::string_view text, ParsedText& out);
  /// What was held back.
  void finish(ParsedText& out);

 private:
  const ReasoningParserRow& row_;
  std::string pending_;
  bool opened_ = false;  // the mark in front is behind us, or there is none
  bool ended_ = false;
};

}  // namespace touchstone::server::api
