// Streams of server-sent events. The contract is in response.h.
#include "base/check.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "reference_engine/server/api/logprobs_json.h"
#include "reference_engine/server/api/response.h"
#include "reference_engine/server/api/response_parts.h"

namespace touchstone::server::api {

EventStream::EventStream(const GenerationRequest& request, const ApiContext& context,
                         ResponseHead head)
    : request_(request),
      context_(context),
      head_(std::move(head)),
      prompts_(request.prompts.size()),
      choices_(request.prompts.size() * static_cast<size_t>(request.n)) {}

void EventStream::open_event(std::string& out) const {
  const bool chat = request_.endpoint == Endpoint::kChatCompletions;
  out += "data: {\"id\":";
  append_json_string(out, head_.id);
  out += chat ? ",\"object\":\"chat.completion.chunk\"" : ",\"object\":\"text_completion\"";
  out += ",\"created\":" + std::to_string(head_.created) + ",\"model\":";
  append_json_string(out, request_.model);
  out += ",\"choices\":[";
}

void EventStream::close_event(std::string& out, size_t prompt_index,
                              int64_t completion_tokens) const {
  if (request_.continuous_usage_stats) {
    const auto prompt_tokens =
        static_cast<int64_t>(request_.prompts[prompt_index].token_ids.size());
    out += ",\"usage\":";
    append_usage(out, {.prompt_tokens = prompt_tokens, .completion_tokens = completion_tokens},
                 request_.endpoint, Nulls::kDropped);
  }
}

std::string EventStream::prompt_done(size_t prompt_index, const PromptResult& result) {
  prompts_.at(prompt_index) = result;
  std::string out;
  if (request_.endpoint != Endpoint::kChatCompletions) return out;
  for (size_t i = 0; i < choices_.size(); ++i) out += role_event(i);
  if (request_.chat_echo.empty()) return out;
  for (size_t i = 0; i < choices_.size(); ++i) {
    open_event(out);
    out += "{\"index\":" + std::to_string(i) + ",\"delta\":{\"content\":";
    append_json_string(out, request_.chat_echo);
    out += "},\"logprobs\":null,\"finish_reason\":null}]";
    close_event(out, 0, 0);
    out += "}\n\n";
  }
  return out;
}

std::string EventStream::role_event(size_t choice_index) {
  std::string out;
  open_event(out);
  out += "{\"index\":" + std::to_string(choice_index) + ",\"delta\":{\"role\":";
  append_json_string(out, request_.response_role);
  out += ",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]";
  close_event(out, 0, 0);
  out += ",\"prompt_token_ids\":";
  if (request_.return_token_ids) {
    append_json_integers(out, request_.prompts[0].token_ids);
  } else {
    out += "null";
  }
  out += ",\"prompt_text\":";
  if (request_.return_prompt_text) {
    append_json_string(out, request_.prompts[0].text);
  } else {
    out += "null";
  }
  return out + "}\n\n";
}

void EventStream::completion_delta(const Choice& choice, size_t prompt_index, std::string& out) {
  ChoiceState& state = choices_[static_cast<size_t>(choice.index)];
  const bool first = !std::exchange(state.started, true);
  EchoedChoice said{choice.text, choice.token_ids, choice.logprobs};
  if (request_.echo && first) {
    said = with_echo(request_, prompt_index, prompts_[prompt_index], choice);
  } else if (request_.prompt_only) {
    said = {};
  }
  out += "{\"index\":" + std::to_string(choice.index) + ",\"text\":";
  append_json_string(out, said.text);
  out += ",\"logprobs\":";
  if (request_.logprobs) {
    append_completion_logprobs(out, {said.token_ids, said.logprobs, state.text_characters},
                               request_, context_);
  } else {
    out += "null";
  }
  state.text_characters += static_cast<int64_t>(count_characters(said.text));
  out += ",\"finish_reason\":";
  append_json_optional(out, choice.finish_reason);
  out += ",\"stop_reason\":";
  append_stop_reason(out, choice.stop_reason);
  out += ",\"prompt_token_ids\":";
  if (first && (request_.return_token_ids || request_.echo)) {
    append_json_integers(out, request_.prompts[prompt_index].token_ids);
  } else {
    out += "null";
  }
  out += ",\"token_ids\":";
  if (request_.return_token_ids) {
    append_json_integers(out, choice.token_ids);
  } else {
    out += "null";
  }
  out += "}]";
}

/// The members that are there, in the order of vLLM's model.
void EventStream::append_parsed(const ParsedText& parsed, int32_t choice, std::string& out) const {
  std::string separator;
  const auto member = [&](const char* name, const std::string& text) {
    if (text.empty()) return;
    out += separator + "\"" + name + "\":";
    append_json_string(out, text);
    separator = ",";
  };
  member("content", parsed.content);
  member("reasoning", parsed.reasoning);
  for (size_t i = 0; i < parsed.calls.size(); ++i) {
    const ToolCallDelta& call = parsed.calls[i];
    out += i == 0 ? separator + "\"tool_calls\":[{" : ",{";
    if (!call.name.empty()) {
      out += "\"id\":";
      append_json_string(out, tool_call_id(request_.format, head_.id, choice, call.index));
      out += ",\"type\":\"function\",";
    }
    out += "\"index\":" + std::to_string(call.index) + ",\"function\":{";
    if (!call.name.empty()) {
      out += "\"name\":";
      append_json_string(out, call.name);
    }
    if (!call.arguments.empty()) {
      out += call.name.empty() ? "\"arguments\":" : ",\"arguments\":";
      append_json_string(out, call.arguments);
    }
    out += "}}";
  }
  if (!parsed.calls.empty()) out += "]";
}

void EventStream::chat_delta(const Choice& choice, const ParsedText* parsed, std::string& out) {
  const bool hidden = hides_tokens(request_.format);
  const ChoiceState& state = choices_[static_cast<size_t>(choice.index)];
  out += "{\"index\":" + std::to_string(choice.index) + ",\"delta\":{";
  if (parsed != nullptr) {
    append_parsed(*parsed, choice.index, out);
  } else {
    out += "\"content\":";
    append_json_string(out, choice.text);
  }
  out += "},\"logprobs\":";
  if (request_.logprobs && !hidden) {
    append_chat_logprobs(out, choice.logprobs, request_, context_);
  } else {
    out += "null";
  }
  out += ",\"finish_reason\":";
  if (choice.finish_reason) {
    const bool called = state.parser != nullptr && state.parser->called();
    append_json_string(out, finish_reason_of(request_.format, called, *choice.finish_reason));
    out += ",\"stop_reason\":";
    append_stop_reason(out, choice.stop_reason);
  } else {
    out += "null";
  }
  out += ",\"token_ids\":";
  if (request_.return_token_ids && !hidden) {
    append_json_integers(out, choice.token_ids);
  } else {
    out += "null";
  }
  out += "}]";
}

/// What the new text turns out to be; nothing when the request has its text as it is.
std::optional<ParsedText> EventStream::parse_delta(const Choice& choice) {
  ChoiceState& state = choices_[static_cast<size_t>(choice.index)];
  if (request_.format.plain()) return std::nullopt;
  if (state.parser == nullptr) state.parser = std::make_unique<AnswerParser>(request_.format);
  ParsedText parsed = state.parser->add(choice.text);
  if (choice.finish_reason) {
    ParsedText rest = state.parser->finish();
    parsed.reasoning += rest.reasoning;
    parsed.content += rest.content;
    for (ToolCallDelta& call : rest.calls) parsed.calls.push_back(std::move(call));
  }
  return parsed;
}

/// Nothing can be told yet, and no tokens or their likelihoods are asked for.
bool EventStream::keeps_silent(const Choice& choice, const ParsedText& parsed) const {
  const bool tokens_told =
      (request_.logprobs || request_.return_token_ids) && !hides_tokens(request_.format);
  return parsed.empty() && !choice.finish_reason && !tokens_told;
}

std::string EventStream::delta(const Choice& choice) {
  const auto index = static_cast<size_t>(choice.index);
  BASE_CHECK(index < choices_.size(), choice.index);
  const size_t prompt_index = index / static_cast<size_t>(request_.n);
  choices_[index].completion_tokens += static_cast<int64_t>(choice.token_ids.size());
  std::string out;
  std::optional<ParsedText> parsed;
  if (request_.endpoint == Endpoint::kChatCompletions) {
    parsed = parse_delta(choice);
    if (parsed && keeps_silent(choice, *parsed)) return out;
  }
  open_event(out);
  if (request_.endpoint == Endpoint::kChatCompletions) {
    chat_delta(choice, parsed ? &*parsed : nullptr, out);
  } else {
    completion_delta(choice, prompt_index, out);
  }
  close_event(out, prompt_index, choices_[index].completion_tokens);
  // The last event of the stream carries the fingerprint; that is the usage event when there is
  // one.
  if (choice.finish_reason && !request_.include_usage && !context_.system_fingerprint.empty()) {
    out += ",\"system_fingerprint\":";
    append_fingerprint(out, context_);
  }
  return out + "}\n\n";
}

std::string EventStream::usage_event() const {
  Usage usage{.prompt_tokens = count_prompt_tokens(request_)};
  for (const ChoiceState& state : choices_) usage.completion_tokens += state.completion_tokens;
  if (context_.enable_prompt_tokens_details) usage.cached_tokens = prompts_[0].num_cached_tokens;
  std::string out;
  open_event(out);
  out += "],\"usage\":";
  append_usage(out, usage, request_.endpoint, Nulls::kDropped);
  if (!context_.system_fingerprint.empty()) {
    out += ",\"system_fingerprint\":";
    append_fingerprint(out, context_);
  }
  return out + "}\n\n";
}

std::string EventStream::finish() {
  return (request_.include_usage ? usage_event() : std::string()) + std::string(kStreamEnd);
}

std::string EventStream::fail(const ApiError& error) {
  return error_event(error) + std::string(kStreamEnd);
}

}  // namespace touchstone::server::api
