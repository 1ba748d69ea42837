// POST /v1/chat/completions: body to GenerationRequest.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/text.h"
#include "reference_engine/server/api/chat_rendering.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/known_fields.h"
#include "reference_engine/server/api/messages.h"
#include "reference_engine/server/api/prompts.h"
#include "reference_engine/server/api/request_fields.h"
#include "reference_engine/server/api/sampling_fields.h"
#include "reference_engine/server/api/schema.h"
#include "reference_engine/server/api/structured_outputs.h"
#include "reference_engine/server/api/tools.h"

namespace touchstone::server::api {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::optional<ApiError> check_before_fields(const Body& body) {
  if (body.truthy("continue_final_message") && body.truthy("add_generation_prompt")) {
    return bad_request(
        "Cannot set both `continue_final_message` and `add_generation_prompt` to True.");
  }
  if (auto error = check_tools_field(body)) return error;
  if (auto error = check_logprobs_fields(body, "top_logprobs")) return error;
  const json& top = body.raw("top_logprobs");
  if (top.is_number() && (top > 0 || top == -1) && !body.truthy("logprobs")) {
    return parameter_error("when using `top_logprobs`, `logprobs` must be set to true.",
                           "top_logprobs");
  }
  if (auto error = check_stream_options(body)) return error;
  return check_structured_fields(body);
}

/// The body with its keys in the order in which they were sent, where somebody asks for it.
ordered_json ordered_body(std::string_view text, const Body& body) {
  for (const char* key : {"tools", "response_format", "structured_outputs"}) {
    if (!body.raw(key).is_null()) return ordered_json::parse(text);
  }
  return nullptr;
}

struct ChatBody {
  std::optional<std::string> model;
  SamplingFields sampling;
  PromptLimits limits;
  ChatOptions chat;
  bool echo = false;
  bool include_reasoning = true;
};

ChatBody read_fields(Body& body, const RequestHeaders& headers, const ApiContext& context,
                     GenerationRequest& request) {
  ChatBody fields;
  if (!body.has("messages")) {
    body.errors().add("missing", body.location("messages"), "Field required", body.tree());
  }
  check_messages(body);
  fields.model = body.string("model");
  const bool logprobs = body.boolean("logprobs").value_or(false);
  const int64_t top_logprobs = body.integer("top_logprobs").value_or(0);
  const auto max_tokens = body.integer("max_tokens");
  const auto max_completion_tokens = body.integer("max_completion_tokens");
  fields.limits.max_tokens = max_completion_tokens ? max_completion_tokens : max_tokens;
  if (max_completion_tokens) fields.limits.max_tokens_name = "max_completion_tokens";
  const int64_t n = body.integer("n").value_or(1);
  fields.sampling = read_sampling_fields(body, context);
  fields.sampling.n = n;
  if (logprobs) fields.sampling.logprobs = top_logprobs;
  fields.sampling.prompt_logprobs = body.integer("prompt_logprobs");
  fields.echo = body.boolean("echo", Null::kRefused).value_or(false);
  if (fields.echo && !fields.sampling.prompt_logprobs) {
    fields.sampling.prompt_logprobs = top_logprobs;
  }
  read_truncation(body, false, fields.limits);
  read_chat_options(body, fields.chat);
  if (const auto effort = body.word("reasoning_effort",
                                    {"none", "minimal", "low", "medium", "high", "xhigh", "max"})) {
    fields.chat.template_arguments["reasoning_effort"] = *effort;
  }
  fields.include_reasoning = body.boolean("include_reasoning", Null::kRefused).value_or(true);
  request.return_prompt_text = body.boolean("return_prompt_text").value_or(false);
  read_common_fields(body, headers, context, request);
  read_refused_fields(body, BodyKind::kChat);
  return fields;
}

/// Whether the answer begins with reasoning, and how its tools are read.
AnswerFormat answer_format(const ToolUse& use, const ChatBody& fields, const std::string& prompt,
                           const ApiContext& context) {
  AnswerFormat format = use.format;
  format.include_reasoning = fields.include_reasoning;
  const ReasoningParserRow* row = context.reasoning_parser;
  if (row == nullptr || !reasons_after(*row, prompt)) return format;
  const json& arguments = fields.chat.template_arguments;
  const bool off = row->switch_argument != nullptr &&
                   arguments.value(row->switch_argument, json()) == json(false);
  if (!off) format.reasoning = row;
  return format;
}

std::optional<ApiError> fill(const json& messages, const ChatBody& fields, const ToolUse& use,
                             const ApiContext& context, GenerationRequest& request) {
  if (auto error = check_limits(fields.limits, context)) return error;
  auto rendered = render_chat(messages, fields.chat, context);
  if (auto* error = std::get_if<ApiError>(&rendered)) return *error;
  auto prompt = make_prompt(std::get<std::string>(rendered), fields.limits, context);
  if (auto* error = std::get_if<ApiError>(&prompt)) return *error;
  request.prompts.push_back(std::move(std::get<Prompt>(prompt)));
  if (context.keep_messages) {
    for (const json& message : messages) {
      request.messages.emplace_back(message.value("role", ""),
                                    content_text(message.value("content", json())));
    }
  }
  request.format = answer_format(use, fields, request.prompts[0].text, context);
  const json& last = messages.back();
  request.response_role = context.response_role;
  if (!fields.chat.add_generation_prompt) request.response_role = last.value("role", "assistant");
  if (fields.echo && last.value("role", "") == request.response_role) {
    request.chat_echo = content_text(last.value("content", json()));
  }
  if (auto error = resolve_sampling(fields.sampling, context, request)) return error;
  if (request.format.tools != nullptr && request.format.tools->keeps_special_tokens) {
    request.skip_special_tokens = false;
  }
  return check_vocabulary(request.prompts, context);
}

}  // namespace

ParsedGeneration parse_chat(std::string_view text, const RequestHeaders& headers,
                            const ApiContext& context) {
  BASE_CHECK(context.tokenizer != nullptr && !context.served_model_names.empty());
  json tree;
  if (auto error = parse_body(text, headers.content_type, tree)) return *error;
  SchemaErrors errors;
  Body body(tree, errors);
  if (auto error = check_before_fields(body)) return *error;
  GenerationRequest request;
  request.endpoint = Endpoint::kChatCompletions;
  ChatBody fields = read_fields(body, headers, context, request);
  const ordered_json ordered = ordered_body(text, body);
  request.grammar = read_structured_fields(body, ordered);
  auto tools = read_tools(body, ordered, context);
  if (!errors.empty()) return errors.to_api_error();
  if (auto error = choose_model(fields.model, context, request)) return *error;
  if (auto* error = std::get_if<ApiError>(&tools)) return *error;
  if (auto error = refuse_unsupported(body, BodyKind::kChat)) return *error;
  const auto& use = std::get<ToolUse>(tools);
  fields.chat.tools = use.tools;
  if (use.grammar) request.grammar = use.grammar;
  if (auto error = check_beams(body, request)) return *error;
  if (auto error = fill(tree["messages"], fields, use, context, request)) return *error;
  request.unknown_fields = unknown_fields(body, BodyKind::kChat);
  return request;
}

}  // namespace touchstone::server::api
