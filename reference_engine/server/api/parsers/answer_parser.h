// What a choice's text is: reasoning first, when the server looks for it, then content and calls of
// tools, as the request has them. Thread-compatible.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reference_engine/server/api/parsers/parsed_text.h"
#include "reference_engine/server/api/parsers/reasoning_parser.h"
#include "reference_engine/server/api/parsers/tool_parser.h"

namespace touchstone::server::api {

/// How the answers to a request are read.
struct AnswerFormat {
  const ReasoningParserRow* reasoning = nullptr;  ///< null: there is none
  bool include_reasoning = true;                  ///< false: it is left out
  enum class Calls { kNone, kAuto, kRequired, kNamed } calls = Calls::kNone;
  const ToolParserRow* tools = nullptr;  ///< of kAuto
  std::string named_tool;                ///< of kNamed
  bool parallel_calls = true;            ///< false: the first call alone is told
  bool short_ids = false;                ///< of calls: ToolParserRow::short_ids

  /// Nothing is looked for: text is content.
  bool plain() const { return reasoning == nullptr && calls == Calls::kNone; }
  bool operator==(const AnswerFormat&) const = default;
};

class AnswerParser final {
 public:
  /// `format` outlives this.
  explicit AnswerParser(const AnswerFormat& format);

  ParsedText add(std::string_view text);
  ParsedText finish();
  /// A call was told.
  bool called() const { return called_; }
  bool well_formed() const { return tools_ == nullptr || tools_->well_formed(); }

 private:
  void take_content(std::string_view text, ParsedText& out);
  ParsedText told(ParsedText&& out);

  const AnswerFormat& format_;
  std::optional<ReasoningParser> reasoning_;
  std::unique_ptr<ToolParser> tools_;
  bool called_ = false;
};

struct ToolCall {
  std::string name;
  std::string arguments;  ///< JSON text
};
/// The whole answer at once. Calls are told only when all of them are well formed; arguments are
/// then written as Python's json.dumps() does, and where they are no JSON, as they are.
struct ParsedAnswer {
  std::optional<std::string> reasoning;
  std::optional<std::string> content;
  std::vector<ToolCall> calls;
};
ParsedAnswer parse_answer(const AnswerFormat& format, std::string_view text);

/// The id of call `index` of a choice: random-looking, and the same for the same answer.
std::string tool_call_id(const AnswerFormat& format, std::string_view response_id, int32_t choice,
                         size_t index);

}  // namespace touchstone::server::api
