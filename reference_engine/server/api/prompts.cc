#include "reference_engine/server/api/prompts.h"

#include <algorithm>

#include "base/utf8.h"
#include "reference_engine/server/api/sampling_fields.h"

namespace touchstone::server::api {
namespace {

int64_t output_tokens(const PromptLimits& limits) { return limits.max_tokens.value_or(0); }

int64_t input_tokens_max(const PromptLimits& limits, const ApiContext& context) {
  return context.max_model_len - output_tokens(limits);
}

// Long before tokenizing, a text of more characters than the longest tokens could hold is refused.
std::optional<ApiError> check_text_length(const std::string& text, const PromptLimits& limits,
                                          const ApiContext& context) {
  if (limits.truncate_prompt_tokens) return std::nullopt;
  const auto characters = static_cast<int64_t>(count_characters(text));
  const int64_t limit = int64_t{context.max_model_len} * context.max_chars_per_token;
  if (characters <= limit) return std::nullopt;
  return parameter_error(
      "This model's maximum context length is " + std::to_string(context.max_model_len) +
          " tokens. However, your prompt contains " + std::to_string(characters) +
          " characters (more than " + std::to_string(limit) +
          " characters, which is the upper bound for " + std::to_string(context.max_model_len) +
          " input tokens). Please reduce the length of the input prompt.",
      "input_text", std::to_string(characters));
}

std::optional<ApiError> check_token_length(size_t tokens, const PromptLimits& limits,
                                           const ApiContext& context) {
  if (static_cast<int64_t>(tokens) <= input_tokens_max(limits, context)) return std::nullopt;
  const std::string count = std::to_string(tokens);
  const std::string length = std::to_string(context.max_model_len);
  const int64_t output = output_tokens(limits);
  std::string message = "This model's maximum context length is " + length + " tokens. However, ";
  if (output > 0) {
    message += "you requested " + std::to_string(output) +
               " output tokens and your prompt contains " + count +
               " input tokens, for a total of " +
               std::to_string(static_cast<int64_t>(tokens) + output) +
               " tokens. Please reduce the length of the input prompt or the number of requested "
               "output tokens.";
  } else {
    message += "your prompt contains " + count +
               " input tokens. Please reduce the length of the input prompt.";
  }
  return parameter_error(message, "input_tokens", count);
}

ApiError out_of_vocabulary(int64_t token) {
  return bad_request("Token id " + std::to_string(token) + " is out of vocabulary");
}

void truncate(const PromptLimits& limits, const ApiContext& context, std::vector<int32_t>& ids) {
  if (!limits.truncate_prompt_tokens) return;
  const int64_t wanted = *limits.truncate_prompt_tokens == -1 ? input_tokens_max(limits, context)
                                                              : *limits.truncate_prompt_tokens;
  const auto keep = static_cast<size_t>(std::max<int64_t>(wanted, 0));
  if (keep >= ids.size()) return;
  const auto surplus = static_cast<ptrdiff_t>(ids.size() - keep);
  if (limits.truncate_left) {
    ids.erase(ids.begin(), ids.begin() + surplus);
  } else {
    ids.resize(keep);
  }
}

}  // namespace

std::optional<ApiError> check_limits(const PromptLimits& limits, const ApiContext& context) {
  const int64_t output = output_tokens(limits);
  const std::string length = std::to_string(context.max_model_len);
  if (output > context.max_model_len) {
    const std::string value = std::to_string(output);
    return parameter_error(limits.max_tokens_name + "=" + value +
                               " cannot be greater than max_model_len=" + length +
                               ". Please request fewer output tokens.",
                           limits.max_tokens_name, value);
  }
  const int64_t input_max = input_tokens_max(limits, context);
  if (limits.truncate_prompt_tokens && *limits.truncate_prompt_tokens > input_max) {
    const std::string value = std::to_string(*limits.truncate_prompt_tokens);
    return parameter_error("truncate_prompt_tokens=" + value +
                               " cannot be greater than max_model_len - " + limits.max_tokens_name +
                               " = " + std::to_string(input_max) +
                               ". Please request a smaller truncation size.",
                           "truncate_prompt_tokens", value);
  }
  return std::nullopt;
}

std::variant<Prompt, ApiError> make_prompt(const RawPrompt& raw, const PromptLimits& limits,
                                           const ApiContext& context) {
  Prompt prompt;
  if (const auto* text = std::get_if<std::string>(&raw)) {
    if (auto error = check_text_length(*text, limits, context)) return *error;
    prompt.text = *text;
    prompt.token_ids = context.tokenizer->encode(*text, limits.add_special_tokens);
    truncate(limits, context, prompt.token_ids);
  } else {
    prompt.token_ids = std::get<RawTokens>(raw).ids;
    truncate(limits, context, prompt.token_ids);
    prompt.text = context.tokenizer->decode(prompt.token_ids, false);
  }
  if (prompt.token_ids.empty()) return bad_request("The decoder prompt cannot be empty");
  if (auto error = check_token_length(prompt.token_ids.size(), limits, context)) return *error;
  if (const auto* tokens = std::get_if<RawTokens>(&raw); tokens != nullptr && tokens->too_large) {
    return out_of_vocabulary(*tokens->too_large);
  }
  int64_t room = context.max_model_len - static_cast<int64_t>(prompt.token_ids.size());
  const int64_t wanted =
      limits.max_tokens.value_or(context.defaults.max_new_tokens.value_or(context.max_model_len));
  prompt.max_tokens = static_cast<int32_t>(std::max<int64_t>(std::min(room, wanted), INT32_MIN));
  return prompt;
}

std::optional<ApiError> check_vocabulary(const std::vector<Prompt>& prompts,
                                         const ApiContext& context) {
  const int32_t known = std::max(context.vocab_size, context.tokenizer->vocab_size());
  for (const Prompt& prompt : prompts) {
    const auto largest = std::max_element(prompt.token_ids.begin(), prompt.token_ids.end());
    if (largest != prompt.token_ids.end() && *largest >= known) {
      return out_of_vocabulary(*largest);
    }
  }
  return std::nullopt;
}

}  // namespace touchstone::server::api
