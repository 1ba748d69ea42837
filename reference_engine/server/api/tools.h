// The tools of a chat request: what the client offers, whether one must be called, and how that is
// told to the template, the grammar and the parser of the answer. Pure.
// Source: vLLM 0.32 entrypoints/openai/chat_completion/protocol.py, tool_parsers/utils.py.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>

#include "reference_engine/grammar/grammar_spec.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/parsers/answer_parser.h"
#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {

/// What is wrong with "tools" and "tool_choice" before anything else is read.
std::optional<ApiError> check_tools_field(const Body& body);

/// "tools" as the template gets them, and as pydantic dumps them. Adds to the body's errors.
/// `ordered`: the body, with its keys in the order in which they were sent.
/// REQUIRES: the body has tools.
nlohmann::ordered_json read_tool_definitions(Body& body, const nlohmann::ordered_json& ordered);

struct ToolUse {
  nlohmann::ordered_json tools;  ///< for the template; null: none
  AnswerFormat format;           ///< without its reasoning
  /// Of a call that must be made: the whole answer.
  std::optional<grammar::GrammarSpec> grammar;
};
/// Adds to the body's errors. ERRORS: the server's flags do not allow for it.
std::variant<ToolUse, ApiError> read_tools(Body& body, const nlohmann::ordered_json& ordered,
                                           const ApiContext& context);

}  // namespace touchstone::server::api
