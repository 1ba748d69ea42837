// The body of POST /v1/responses as the chat that it means.
#include <nlohmann/json.hpp>

#include "reference_engine/server/api/known_fields.h"
#include "reference_engine/server/api/responses.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Fields that chats spell the same way.
constexpr const char* kSame[] = {"model",
                                 "stream",
                                 "temperature",
                                 "top_p",
                                 "top_k",
                                 "min_p",
                                 "presence_penalty",
                                 "frequency_penalty",
                                 "repetition_penalty",
                                 "logit_bias",
                                 "seed",
                                 "stop",
                                 "stop_token_ids",
                                 "ignore_eos",
                                 "include_stop_str_in_output",
                                 "skip_special_tokens",
                                 "user",
                                 "priority",
                                 "cache_salt",
                                 "request_id",
                                 "chat_template_kwargs",
                                 "structured_outputs",
                                 "include_reasoning",
                                 "parallel_tool_calls"};

/// The text of an item's content, which is one text or a list of parts.
ordered_json chat_content(const ordered_json& content) {
  if (!content.is_array()) return content;
  ordered_json parts = ordered_json::array();
  for (const ordered_json& part : content) {
    const bool text = part.is_object() && part.contains("text");
    parts.push_back(text ? ordered_json{{"type", "text"}, {"text", part["text"]}} : part);
  }
  return parts;
}

/// Appends what one item of the input is in a chat.
void add_item(const ordered_json& item, ordered_json& messages) {
  const std::string type = item.value("type", "message");
  if (type == "reasoning") return;  // the model's own, of an earlier turn
  if (type == "function_call") {
    const ordered_json call = {
        {"id", item.value("call_id", "")},
        {"type", "function"},
        {"function",
         {{"name", item.value("name", "")}, {"arguments", item.value("arguments", "")}}}};
    const bool goes_on = !messages.empty() && messages.back()["role"] == "assistant";
    if (!goes_on) messages.push_back({{"role", "assistant"}, {"content", nullptr}});
    messages.back()["tool_calls"].push_back(call);
  } else if (type == "function_call_output") {
    messages.push_back({{"role", "tool"},
                        {"tool_call_id", item.value("call_id", "")},
                        {"content", chat_content(item.value("output", ordered_json("")))}});
  } else {
    messages.push_back({{"role", item.value("role", ordered_json("user"))},
                        {"content", chat_content(item.value("content", ordered_json()))}});
  }
}

/// What was said before. Instructions hold for their own request only, and of the last answer its
/// messages are told, as in vLLM: neither reasoning nor calls.
void add_turn(const StoredTurn& turn, ordered_json& messages) {
  for (ordered_json& message : ordered_json::parse(turn.messages)) {
    if (message["role"] != "system") messages.push_back(std::move(message));
  }
  const ordered_json answered = ordered_json::parse(turn.response);
  for (const ordered_json& item : answered["output"]) {
    if (item["type"] != "message") continue;
    for (const ordered_json& part : item["content"]) {
      messages.push_back({{"role", "assistant"}, {"content", part["text"]}});
    }
  }
}

void add_messages(Body& body, const ordered_json& ordered, const std::optional<StoredTurn>& before,
                  ordered_json& chat) {
  ordered_json& messages = chat["messages"] = ordered_json::array();
  if (const auto instructions = body.string("instructions");
      instructions && !instructions->empty()) {
    messages.push_back({{"role", "system"}, {"content", *instructions}});
  }
  if (before) add_turn(*before, messages);
  const json& input = body.raw("input");
  if (!body.has("input")) {
    body.errors().add("missing", body.location("input"), "Field required", body.tree());
  } else if (input.is_string()) {
    messages.push_back({{"role", "user"}, {"content", input.get<std::string>()}});
  } else if (!input.is_array()) {
    body.errors().add("string_type", body.location("input"), "Input should be a valid string",
                      input);
  } else {
    for (size_t i = 0; i < input.size(); ++i) {
      if (input[i].is_object()) {
        add_item(ordered["input"][i], messages);
      } else {
        body.errors().add("dict_type", body.location("input") + "." + std::to_string(i),
                          "Input should be a valid dictionary", input[i]);
      }
    }
  }
}

/// Tools and the choice among them have one level less than in chats.
void add_tools(Body& body, const ordered_json& ordered, ordered_json& chat) {
  const json& tools = body.raw("tools");
  if (tools.is_null() || tools.empty()) return;
  if (!tools.is_array()) {
    body.errors().add("list_type", body.location("tools"), "Input should be a valid list", tools);
    return;
  }
  for (const ordered_json& tool : ordered["tools"]) {
    ordered_json function = ordered_json::object();
    if (tool.is_object()) {
      for (const char* key : {"name", "description", "parameters", "strict"}) {
        if (tool.contains(key)) function[key] = tool[key];
      }
    }
    const ordered_json type = tool.is_object() ? tool.value("type", ordered_json()) : tool;
    chat["tools"].push_back({{"type", type}, {"function", function}});
  }
  const json& choice = body.raw("tool_choice");
  if (choice.is_object()) {
    chat["tool_choice"] = {{"type", "function"},
                           {"function", {{"name", choice.value("name", json())}}}};
  } else if (!choice.is_null()) {
    chat["tool_choice"] = choice;
  }
}

/// text.format is response_format, with the schema beside its name.
void add_format(Body& body, const ordered_json& ordered, ordered_json& chat) {
  auto text = body.object("text");
  if (!text || text->raw("format").is_null()) return;
  const ordered_json& format = ordered["text"]["format"];
  if (!format.is_object() || format.value("type", "") != "json_schema") {
    chat["response_format"] = format;
    return;
  }
  chat["response_format"] = {{"type", "json_schema"},
                             {"json_schema",
                              {{"name", format.value("name", "schema")},
                               {"schema", format.value("schema", ordered_json::object())}}}};
}

/// What a request asks of the store.
struct Storing {
  bool stored = false;
  bool background = false;
  std::optional<StoredTurn> before;
};

std::optional<ApiError> read_storing(Body& body, const ApiContext& context, Storing& storing) {
  const auto previous = body.string("previous_response_id");
  const bool wanted = body.boolean("store").value_or(true);
  storing.background = body.boolean("background").value_or(false);
  storing.stored = wanted && context.stored_turn;
  if (!body.errors().empty()) return std::nullopt;
  if (storing.background && !wanted) {
    return parameter_error("background can only be used when `store` is true", "background");
  }
  if (storing.background && !storing.stored) {
    return ApiError{400, "invalid_request_error",
                    "This vLLM engine does not support `store=True` and therefore does not support "
                    "the background mode. To enable these features, set the environment variable "
                    "`VLLM_ENABLE_RESPONSES_API_STORE=1` when launching the vLLM server.",
                    "background"};
  }
  if (!previous) return std::nullopt;
  if (context.stored_turn) storing.before = context.stored_turn(*previous);
  if (!storing.before) return no_such_response(*previous);
  return std::nullopt;
}

/// What the answer repeats.
ordered_json repeated(const ordered_json& ordered) {
  const auto given = [&](const char* key, ordered_json otherwise) {
    return ordered.contains(key) && !ordered[key].is_null() ? ordered[key] : std::move(otherwise);
  };
  return {{"instructions", given("instructions", nullptr)},
          {"metadata", given("metadata", nullptr)},
          {"parallel_tool_calls", given("parallel_tool_calls", true)},
          {"previous_response_id", given("previous_response_id", nullptr)},
          {"tool_choice", given("tool_choice", "auto")},
          {"tools", given("tools", ordered_json::array())},
          {"max_tool_calls", given("max_tool_calls", nullptr)},
          {"reasoning", given("reasoning", nullptr)},
          {"service_tier", given("service_tier", "auto")},
          {"text", given("text", nullptr)},
          {"truncation", given("truncation", "disabled")},
          {"user", given("user", nullptr)}};
}

}  // namespace

ApiError no_such_response(std::string_view id) {
  return {404, "invalid_request_error", "Response with id '" + std::string(id) + "' not found.",
          "response_id"};
}

ParsedGeneration parse_responses(std::string_view text, const RequestHeaders& headers,
                                 const ApiContext& context) {
  json tree;
  if (auto error = parse_body(text, headers.content_type, tree)) return *error;
  SchemaErrors errors;
  Body body(tree, errors);
  const ordered_json ordered = ordered_json::parse(text);
  Storing storing;
  if (auto error = read_storing(body, context, storing)) return *error;
  ordered_json chat = ordered_json::object();
  for (const char* key : kSame) {
    if (ordered.contains(key)) chat[key] = ordered[key];
  }
  add_messages(body, ordered, storing.before, chat);
  add_tools(body, ordered, chat);
  add_format(body, ordered, chat);
  read_refused_fields(body, BodyKind::kResponses);
  if (const auto most = body.integer("max_output_tokens")) chat["max_completion_tokens"] = *most;
  if (body.word("truncation", {"auto", "disabled"}) == "auto") chat["truncate_prompt_tokens"] = -1;
  if (auto reasoning = body.object("reasoning"); reasoning && !reasoning->raw("effort").is_null()) {
    chat["reasoning_effort"] = ordered["reasoning"]["effort"];
  }
  if (!errors.empty()) return errors.to_api_error();
  if (auto error = refuse_unsupported(body, BodyKind::kResponses)) return *error;
  auto parsed = parse_chat(chat.dump(), headers, context);
  if (auto* request = std::get_if<GenerationRequest>(&parsed)) {
    request->responses = std::make_shared<const std::string>(repeated(ordered).dump());
    request->unknown_fields = unknown_fields(body, BodyKind::kResponses);
    request->background = storing.background;
    if (storing.stored) request->conversation = chat["messages"].dump();
  }
  return parsed;
}

}  // namespace touchstone::server::api
