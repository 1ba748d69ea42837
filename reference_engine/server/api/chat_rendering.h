// From chat messages to the prompt text, for /v1/chat/completions and /tokenize. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>

#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {

struct ChatOptions {
  bool add_generation_prompt = true;
  bool continue_final_message = false;
  std::optional<std::string> own_template;  ///< the body's: refused unless the server trusts it
  nlohmann::json template_arguments = nlohmann::json::object();
  nlohmann::ordered_json tools;  ///< null: none
};

void read_chat_options(Body& body, ChatOptions& options);

/// The prompt text. ERRORS: no template, no messages, raise_exception(…) of the template.
std::variant<std::string, ApiError> render_chat(const nlohmann::json& messages,
                                                const ChatOptions& options,
                                                const ApiContext& context);

}  // namespace touchstone::server::api
