#include "reference_engine/server/api/response_parts.h"

#include "base/json_text.h"

namespace touchstone::server::api {

void append_stop_reason(std::string& out, const StopReason& reason) {
  if (const auto* token = std::get_if<int32_t>(&reason)) {
    out += std::to_string(*token);
  } else if (const auto* text = std::get_if<std::string>(&reason)) {
    append_json_string(out, *text);
  } else {
    out += "null";
  }
}

void append_fingerprint(std::string& out, const ApiContext& context) {
  if (context.system_fingerprint.empty()) {
    out += "null";
  } else {
    append_json_string(out, context.system_fingerprint);
  }
}

bool hides_tokens(const AnswerFormat& format) {
  return !format.include_reasoning && !format.plain();
}

std::string finish_reason_of(const AnswerFormat& format, bool called, const std::string& reason) {
  using Calls = AnswerFormat::Calls;
  const bool chosen = format.calls == Calls::kAuto || format.calls == Calls::kRequired;
  return chosen && called && reason == "stop" ? "tool_calls" : reason;
}

void append_usage(std::string& out, const Usage& usage, Endpoint endpoint, Nulls nulls) {
  out += "{\"prompt_tokens\":" + std::to_string(usage.prompt_tokens) +
         ",\"total_tokens\":" + std::to_string(usage.prompt_tokens + usage.completion_tokens) +
         ",\"completion_tokens\":" + std::to_string(usage.completion_tokens);
  // Chat counts the tokens it put into the cache for later requests (none are paid for);
  // completions leave the member null.
  const bool chat = endpoint == Endpoint::kChatCompletions;
  if (usage.cached_tokens) {
    out += ",\"prompt_tokens_details\":{\"cached_tokens\":" + std::to_string(*usage.cached_tokens);
    if (chat) {
      out += ",\"created_cache_tokens\":0";
    } else if (nulls == Nulls::kWritten) {
      out += ",\"created_cache_tokens\":null";
    }
    if (nulls == Nulls::kWritten) out += ",\"multimodal_tokens\":null";
    out += "}";
  } else if (nulls == Nulls::kWritten) {
    out += ",\"prompt_tokens_details\":null";
  }
  if (nulls == Nulls::kWritten) out += ",\"completion_tokens_details\":null";
  out += "}";
}

int64_t count_prompt_tokens(const GenerationRequest& request) {
  int64_t count = 0;
  for (const Prompt& prompt : request.prompts)
    count += static_cast<int64_t>(prompt.token_ids.size());
  return count;
}

EchoedChoice with_echo(const GenerationRequest& request, size_t prompt_index,
                       const PromptResult& prompt, const Choice& choice) {
  const Prompt& source = request.prompts.at(prompt_index);
  EchoedChoice echoed;
  // With token ids asked for, the prompt's text is left out: its ids are there.
  echoed.text = request.return_token_ids ? "" : source.text;
  echoed.token_ids = source.token_ids;
  echoed.logprobs = prompt.logprobs;
  if (request.prompt_only) return echoed;
  echoed.text += choice.text;
  echoed.token_ids.insert(echoed.token_ids.end(), choice.token_ids.begin(), choice.token_ids.end());
  echoed.logprobs.insert(echoed.logprobs.end(), choice.logprobs.begin(), choice.logprobs.end());
  return echoed;
}

}  // namespace touchstone::server::api
