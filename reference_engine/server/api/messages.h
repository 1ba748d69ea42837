// Chat messages: their shape (as pydantic reports it) and what the template gets. Pure.
// Source: vLLM 0.32 entrypoints/chat_utils.py, recorded exchanges.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {

/// Adds what is wrong with "messages" of the body to its errors.
void check_messages(const Body& body);

/// The messages as the template wants them: text parts kept as parts, or joined by line ends, and
/// the arguments of calls as objects. Fills `out`. ERRORS: content that is not text, or calls that
/// are none.
std::optional<ApiError> normalize_messages(const nlohmann::json& messages, bool as_parts,
                                           const ApiContext& context, nlohmann::ordered_json& out);

/// The text of one message's content.
std::string content_text(const nlohmann::json& content);

}  // namespace touchstone::server::api
