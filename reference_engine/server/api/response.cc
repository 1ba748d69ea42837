#include "reference_engine/server/api/response.h"

#include "base/check.h"
#include "base/json_text.h"
#include "base/sha256.h"
#include "reference_engine/server/api/logprobs_json.h"
#include "reference_engine/server/api/response_extent.h"
#include "reference_engine/server/api/response_parts.h"

namespace touchstone::server::api {
namespace {

void append_token_ids(std::string& out, bool wanted, std::span<const int32_t> ids) {
  if (wanted) {
    append_json_integers(out, ids);
  } else {
    out += "null";
  }
}

void append_prompt_logprobs_or_null(std::string& out, const GenerationRequest& request,
                                    const PromptResult& prompt, const ApiContext& context) {
  if (request.prompt_logprobs) {
    append_prompt_logprobs(out, prompt.logprobs, context);
  } else {
    out += "null";
  }
}

void append_completion_choice(std::string& out, const GenerationRequest& request,
                              const ApiContext& context, const Choice& choice,
                              const PromptResult& prompt) {
  const auto prompt_index = static_cast<size_t>(choice.index / request.n);
  EchoedChoice said{choice.text, choice.token_ids, choice.logprobs};
  if (request.echo) said = with_echo(request, prompt_index, prompt, choice);
  out += "{\"index\":" + std::to_string(choice.index) + ",\"text\":";
  append_json_string(out, said.text);
  out += ",\"logprobs\":";
  if (request.logprobs) {
    append_completion_logprobs(out, {said.token_ids, said.logprobs, 0}, request, context);
  } else {
    out += "null";
  }
  out += ",\"finish_reason\":";
  append_json_optional(out, choice.finish_reason);
  out += ",\"stop_reason\":";
  append_stop_reason(out, choice.stop_reason);
  out += ",\"token_ids\":";
  append_token_ids(out, request.return_token_ids, choice.token_ids);
  out += ",\"prompt_logprobs\":";
  append_prompt_logprobs_or_null(out, request, prompt, context);
  out += ",\"prompt_token_ids\":";
  append_token_ids(out, request.return_token_ids, request.prompts[prompt_index].token_ids);
  out += ",\"routed_experts\":null}";
}

/// The member "tool_calls", which is left out when there are none.
void append_tool_calls(std::string& out, const GenerationRequest& request, const ResponseHead& head,
                       int32_t choice, const ParsedAnswer& answer) {
  for (size_t i = 0; i < answer.calls.size(); ++i) {
    out += i == 0 ? ",\"tool_calls\":[{\"id\":" : ",{\"id\":";
    append_json_string(out, tool_call_id(request.format, head.id, choice, i));
    out += ",\"type\":\"function\",\"function\":{\"name\":";
    append_json_string(out, answer.calls[i].name);
    out += ",\"arguments\":";
    append_json_string(out, answer.calls[i].arguments);
    out += "}}";
  }
  if (!answer.calls.empty()) out += "]";
}

void append_chat_choice(std::string& out, const GenerationRequest& request,
                        const ApiContext& context, const ResponseHead& head, const Choice& choice) {
  const ParsedAnswer answer = parse_answer(request.format, choice.text);
  const bool hidden = hides_tokens(request.format);
  out += "{\"index\":" + std::to_string(choice.index) + ",\"message\":{\"role\":";
  append_json_string(out, request.response_role);
  out += ",\"content\":";
  if (request.chat_echo.empty()) {
    append_json_optional(out, answer.content);
  } else {
    append_json_string(out, request.chat_echo + answer.content.value_or(""));
  }
  out += ",\"refusal\":null,\"annotations\":null,\"audio\":null,\"function_call\":null";
  append_tool_calls(out, request, head, choice.index, answer);
  out += ",\"reasoning\":";
  append_json_optional(out, answer.reasoning);
  out += "},\"logprobs\":";
  if (request.logprobs && !hidden) {
    append_chat_logprobs(out, choice.logprobs, request, context);
  } else {
    out += "null";
  }
  out += ",\"finish_reason\":";
  append_json_string(out, finish_reason_of(request.format, !answer.calls.empty(),
                                           choice.finish_reason.value_or("stop")));
  out += ",\"stop_reason\":";
  append_stop_reason(out, choice.stop_reason);
  out += ",\"token_ids\":";
  append_token_ids(out, request.return_token_ids && !hidden, choice.token_ids);
  out += ",\"routed_experts\":null}";
}

void append_chat_prompt(std::string& out, const GenerationRequest& request,
                        const ApiContext& context, const PromptResult& prompt) {
  out += ",\"prompt_logprobs\":";
  append_prompt_logprobs_or_null(out, request, prompt, context);
  out += ",\"prompt_token_ids\":";
  append_token_ids(out, request.return_token_ids, request.prompts[0].token_ids);
  out += ",\"prompt_text\":";
  if (request.return_prompt_text) {
    append_json_string(out, request.prompts[0].text);
  } else {
    out += "null";
  }
}

/// `parent` and `max_model_len` are JSON.
void append_model_card(std::string& out, const std::string& name, const std::string& root,
                       const std::string& parent, const std::string& max_model_len,
                       int64_t created) {
  const std::string time = std::to_string(created);
  out += "{\"id\":";
  append_json_string(out, name);
  out += ",\"object\":\"model\",\"created\":" + time + ",\"owned_by\":\"vllm\",\"root\":";
  append_json_string(out, root);
  out += ",\"parent\":" + parent + ",\"max_model_len\":" + max_model_len +
         ",\"permission\":[{\"id\":\"modelperm-" + sha256_hex(name + "\n" + time).substr(0, 16) +
         "\",\"object\":\"model_permission\",\"created\":" + time +
         ",\"allow_create_engine\":false,\"allow_sampling\":true,\"allow_logprobs\":true,"
         "\"allow_search_indices\":false,\"allow_view\":true,\"allow_fine_tuning\":false,"
         "\"organization\":\"*\",\"group\":null,\"is_blocking\":false}]}";
}

}  // namespace

std::string full_response(const GenerationRequest& request, const ApiContext& context,
                          const ResponseHead& head, std::span<const Choice> choices,
                          std::span<const PromptResult> prompts) {
  BASE_CHECK(prompts.size() == request.prompts.size());
  const bool chat = request.endpoint == Endpoint::kChatCompletions;
  std::string out = "{\"id\":";
  // Address space, not memory: a text that grows is for a moment there twice.
  out.reserve(static_cast<size_t>(prompt_extent(request, context).json_bytes +
                                  choices_json_bytes(request, choices)));
  append_json_string(out, head.id);
  out += chat ? ",\"object\":\"chat.completion\"" : ",\"object\":\"text_completion\"";
  out += ",\"created\":" + std::to_string(head.created) + ",\"model\":";
  append_json_string(out, request.model);
  out += ",\"choices\":[";
  Usage usage{.prompt_tokens = count_prompt_tokens(request)};
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out.push_back(',');
    if (chat) {
      append_chat_choice(out, request, context, head, choices[i]);
    } else {
      append_completion_choice(out, request, context, choices[i],
                               prompts[static_cast<size_t>(choices[i].index / request.n)]);
    }
    usage.completion_tokens += static_cast<int64_t>(choices[i].token_ids.size());
  }
  // vLLM reports the last prompt's hits.
  if (context.enable_prompt_tokens_details) usage.cached_tokens = prompts.back().num_cached_tokens;
  out += "],\"service_tier\":null,\"system_fingerprint\":";
  append_fingerprint(out, context);
  out += ",\"usage\":";
  append_usage(out, usage, request.endpoint, Nulls::kWritten);
  if (chat) append_chat_prompt(out, request, context, prompts[0]);
  out += ",\"kv_transfer_params\":null,\"ec_transfer_params\":null,\"metrics\":null}";
  return out;
}

std::string with_usage_extension(std::string response, std::string_view text, int64_t prompt_tokens,
                                 int64_t completion_tokens, const UsageExtension& extension) {
  response.pop_back();  // the object goes on
  response += ",\"text\":";
  append_json_string(response, text);
  response += ",\"prompt_tokens\":" + std::to_string(prompt_tokens) +
              ",\"completion_tokens\":" + std::to_string(completion_tokens) +
              ",\"estimated_cost_usd\":" + extension.estimated_cost_usd.value_or("null") +
              ",\"trace_id\":";
  if (extension.trace_id.empty()) return response + "null}";
  append_json_string(response, extension.trace_id);
  return response + "}";
}

std::string models_response(const ApiContext& context, int64_t created) {
  std::string out = "{\"object\":\"list\",\"data\":[";
  const std::string& root =
      context.model_root.empty() ? context.served_model_names.front() : context.model_root;
  for (size_t i = 0; i < context.served_model_names.size(); ++i) {
    if (i > 0) out.push_back(',');
    append_model_card(out, context.served_model_names[i], root, "null",
                      std::to_string(context.max_model_len), created);
  }
  if (context.adapters == nullptr) return out + "]}";
  for (const auto& adapter : context.adapters->list()) {
    std::string parent;
    append_json_string(parent, adapter->parent);
    out.push_back(',');
    append_model_card(out, adapter->name, adapter->path, parent, "null", created);
  }
  return out + "]}";
}

std::string tokenize_response(const TokenizeRequest& request, const ApiContext& context) {
  std::string out = "{\"count\":" + std::to_string(request.token_ids.size()) +
                    ",\"max_model_len\":" + std::to_string(context.max_model_len) + ",\"tokens\":";
  append_json_integers(out, request.token_ids);
  out += ",\"token_strs\":";
  if (!request.return_token_strs) return out + "null}";
  out.push_back('[');
  for (size_t i = 0; i < request.token_ids.size(); ++i) {
    if (i > 0) out.push_back(',');
    append_json_string(out, context.tokenizer->token_string(request.token_ids[i]));
  }
  return out + "]}";
}

std::string detokenize_response(const DetokenizeRequest& request, const ApiContext& context) {
  std::string out = "{\"prompt\":";
  append_json_string(out, context.tokenizer->decode(request.token_ids, false));
  return out + "}";
}

std::string version_response(std::string_view version) {
  std::string out = "{\"version\":";
  append_json_string(out, version);
  return out + "}";
}

std::string load_response(int64_t in_flight) {
  return "{\"server_load\":" + std::to_string(in_flight) + "}";
}

}  // namespace touchstone::server::api
