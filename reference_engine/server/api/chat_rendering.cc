#include "reference_engine/server/api/chat_rendering.h"

#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/text.h"
#include "reference_engine/server/api/messages.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/tokenizer/white_space.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// With continue_final_message the text ends where the last message's text does, which is found by
// a mark behind it, as transformers does it.
constexpr std::string_view kMark = "CONTINUE_FINAL_MESSAGE_TAG ";

void mark_final_message(ordered_json& messages) {
  ordered_json& content = messages.back()["content"];
  if (content.is_string()) {
    content = content.get<std::string>() + std::string(kMark);
  } else if (content.is_array() && !content.empty()) {
    ordered_json& text = content.back()["text"];
    text = text.get<std::string>() + std::string(kMark);
  }
}

std::variant<std::string, ApiError> cut_at_mark(const std::string& text, const json& messages) {
  const std::string content = content_text(messages.back().value("content", json()));
  const std::string_view mark = trim(kMark);
  const size_t position = text.rfind(mark);
  if (trim(content).empty() || position == std::string::npos) {
    return bad_request(
        "continue_final_message is set but the final message does not appear in the "
        "chat after applying the chat template!");
  }
  // A template that trims the message also took the mark's space.
  if (text.compare(position, kMark.size(), kMark) == 0) return text.substr(0, position);
  return text.substr(0,
                     tokenizer::without_trailing_space(std::string_view(text).substr(0, position)));
}

}  // namespace

void read_chat_options(Body& body, ChatOptions& options) {
  options.add_generation_prompt =
      body.boolean("add_generation_prompt", Null::kRefused).value_or(true);
  options.continue_final_message =
      body.boolean("continue_final_message", Null::kRefused).value_or(false);
  const json& documents = body.raw("documents");
  if (!documents.is_null()) options.template_arguments["documents"] = documents;
  options.own_template = body.string("chat_template");
  const json& arguments = body.raw("chat_template_kwargs");
  if (arguments.is_object()) {
    options.template_arguments.update(arguments);
  } else if (!arguments.is_null()) {
    body.errors().add("dict_type", body.location("chat_template_kwargs"),
                      "Input should be a valid dictionary", arguments);
  }
}

std::variant<std::string, ApiError> render_chat(const json& messages, const ChatOptions& options,
                                                const ApiContext& context) {
  if (options.own_template && !context.trust_request_chat_template) {
    return bad_request(
        "Chat template is passed with request, but --trust-request-chat-template is not set. "
        "Refused request with untrusted chat template.");
  }
  if (messages.empty()) {
    return bad_request(
        "Cannot apply chat template to an empty conversation. Provide at least one message.");
  }
  const chat_template::ChatTemplate* chat_template = context.chat_template;
  std::unique_ptr<chat_template::ChatTemplate> own;
  if (options.own_template) {
    auto parsed = chat_template::ChatTemplate::parse(*options.own_template);
    if (!parsed) return bad_request(parsed.error().message);
    own = *std::move(parsed);
    chat_template = own.get();
  }
  if (chat_template == nullptr) {
    return bad_request(
        "As of transformers v4.44, default chat template is no longer allowed, so you must provide "
        "a chat template if the tokenizer does not define one.");
  }
  ordered_json values = ordered_json::object();
  if (!context.default_template_kwargs.empty()) {
    values = ordered_json::parse(context.default_template_kwargs, nullptr, false);
  }
  values.update(ordered_json(options.template_arguments));
  const bool parts =
      context.content_format == ContentFormat::kParts ||
      (context.content_format == ContentFormat::kAuto && chat_template->loops_over_content());
  ordered_json normal;
  if (auto error = normalize_messages(messages, parts, context, normal)) return *error;
  if (options.continue_final_message) mark_final_message(normal);
  values["messages"] = std::move(normal);
  values["add_generation_prompt"] = options.add_generation_prompt;
  values["continue_final_message"] = options.continue_final_message;
  values["bos_token"] = context.bos_token;
  values["eos_token"] = context.eos_token;
  if (!options.tools.is_null()) values["tools"] = options.tools;
  if (!values.contains("tools")) values["tools"] = nullptr;
  if (!values.contains("documents")) values["documents"] = nullptr;
  std::optional<int64_t> now;
  if (context.clock != nullptr) now = context.clock->unix_ns();
  auto text = chat_template->render(values, now);
  if (!text) return bad_request(text.error().message);
  if (options.continue_final_message) return cut_at_mark(*text, messages);
  return std::move(text).value();
}

}  // namespace touchstone::server::api
