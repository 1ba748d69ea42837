#include "reference_engine/server/api/responses.h"

#include <utility>

#include "base/sha256.h"
#include "reference_engine/server/api/response_parts.h"

namespace touchstone::server::api {
namespace {

using nlohmann::ordered_json;

/// The id of an output item: random-looking, and the same for the same answer.
std::string item_id(const char* prefix, const ResponseHead& head, int index) {
  return prefix + sha256_hex(head.id + "/" + std::to_string(index)).substr(0, 32);
}

ordered_json message_item(const ResponseHead& head, int index, const std::string& text) {
  ordered_json content = ordered_json::array();
  if (!text.empty()) {
    content.push_back({{"annotations", ordered_json::array()},
                       {"text", text},
                       {"type", "output_text"},
                       {"logprobs", nullptr}});
  }
  return {{"id", item_id("msg_", head, index)},
          {"content", content},
          {"role", "assistant"},
          {"status", "completed"},
          {"type", "message"}};
}

ordered_json reasoning_item(const ResponseHead& head, int index, const std::string& text) {
  return {{"id", item_id("rs_", head, index)},
          {"summary", ordered_json::array()},
          {"type", "reasoning"},
          {"content", {{{"text", text}, {"type", "reasoning_text"}}}},
          {"encrypted_content", nullptr},
          {"status", nullptr}};
}

ordered_json call_item(const AnswerFormat& format, const ResponseHead& head, int index, size_t call,
                       const std::string& name, const std::string& arguments) {
  return {{"arguments", arguments},
          {"call_id", tool_call_id(format, head.id, 0, call)},
          {"name", name},
          {"type", "function_call"},
          {"id", item_id("fc_", head, index)},
          {"status", "completed"}};
}

/// The response without its output, as it stands.
ordered_json response_of(const GenerationRequest& request, const ResponseHead& head,
                         const char* status, ordered_json output, ordered_json usage) {
  const ordered_json said = ordered_json::parse(*request.responses);
  const bool cut = std::string_view(status) == "incomplete";
  return {{"id", head.id},
          {"created_at", head.created},
          {"incomplete_details", cut ? ordered_json{{"reason", "max_output_tokens"}} : nullptr},
          {"instructions", said["instructions"]},
          {"metadata", said["metadata"]},
          {"model", request.model},
          {"object", "response"},
          {"output", std::move(output)},
          {"parallel_tool_calls", said["parallel_tool_calls"]},
          {"temperature", request.sampling.temperature},
          {"tool_choice", said["tool_choice"]},
          {"tools", said["tools"]},
          {"top_p", request.sampling.top_p},
          {"background", request.background},
          {"max_output_tokens", request.prompts[0].max_tokens},
          {"max_tool_calls", said["max_tool_calls"]},
          {"previous_response_id", said["previous_response_id"]},
          {"prompt", nullptr},
          {"reasoning", said["reasoning"]},
          {"service_tier", said["service_tier"]},
          {"status", status},
          {"text", said["text"]},
          {"top_logprobs", nullptr},
          {"truncation", said["truncation"]},
          {"usage", std::move(usage)},
          {"user", said["user"]},
          {"presence_penalty", request.sampling.presence_penalty},
          {"frequency_penalty", request.sampling.frequency_penalty},
          {"kv_transfer_params", nullptr},
          {"ec_transfer_params", nullptr},
          {"input_messages", nullptr},
          {"output_messages", nullptr}};
}

ordered_json usage_of(const GenerationRequest& request, const Choice& choice,
                      const PromptResult& prompt) {
  const int64_t input = count_prompt_tokens(request);
  const auto output = static_cast<int64_t>(choice.token_ids.size());
  const ordered_json none = ordered_json::array();
  return {{"input_tokens", input},
          {"input_tokens_details",
           {{"cached_tokens", prompt.num_cached_tokens},
            {"cache_write_tokens", 0},
            {"input_tokens_per_turn", none},
            {"cached_tokens_per_turn", none}}},
          {"output_tokens", output},
          {"output_tokens_details",
           {{"reasoning_tokens", 0},
            {"tool_output_tokens", 0},
            {"output_tokens_per_turn", none},
            {"tool_output_tokens_per_turn", none}}},
          {"total_tokens", input + output}};
}

const char* status_of(const Choice& choice) {
  return choice.finish_reason == "length"  ? "incomplete"
         : choice.finish_reason == "abort" ? "cancelled"
                                           : "completed";
}

}  // namespace

std::string responses_queued(const GenerationRequest& request, const ResponseHead& head) {
  return response_of(request, head, "queued", ordered_json::array(), nullptr).dump();
}

std::string responses_answer(const GenerationRequest& request, const ResponseHead& head,
                             const Choice& choice, const PromptResult& prompt) {
  const ParsedAnswer answer = parse_answer(request.format, choice.text);
  ordered_json output = ordered_json::array();
  const auto index = [&] { return static_cast<int>(output.size()); };
  if (answer.reasoning) output.push_back(reasoning_item(head, index(), *answer.reasoning));
  const std::string content = answer.content.value_or("");
  if (!content.empty() || answer.calls.empty()) {
    output.push_back(message_item(head, index(), content));
  }
  for (size_t i = 0; i < answer.calls.size(); ++i) {
    output.push_back(call_item(request.format, head, index(), i, answer.calls[i].name,
                               answer.calls[i].arguments));
  }
  return response_of(request, head, status_of(choice), std::move(output),
                     usage_of(request, choice, prompt))
      .dump();
}

ResponsesStream::ResponsesStream(const GenerationRequest& request, ResponseHead head)
    : request_(request), head_(std::move(head)), parser_(request_.format) {}

void ResponsesStream::event(const char* type, ordered_json fields, std::string& out) {
  fields["sequence_number"] = sequence_++;
  fields["type"] = type;
  out += "event: " + std::string(type) + "\ndata: " + fields.dump() + "\n\n";
}

std::string ResponsesStream::prompt_done(size_t, const PromptResult& result) {
  prompt_ = result;
  std::string out;
  const ordered_json response =
      response_of(request_, head_, "in_progress", ordered_json::array(), nullptr);
  event("response.created", {{"response", response}}, out);
  event("response.in_progress", {{"response", response}}, out);
  return out;
}

ordered_json ResponsesStream::place() const {
  const char* prefix = item_ == Item::kReasoning ? "rs_" : item_ == Item::kCall ? "fc_" : "msg_";
  return {{"item_id", item_id(prefix, head_, output_index_)}, {"output_index", output_index_}};
}

/// Begins a message or reasoning, unless it is the one that is open.
void ResponsesStream::open(Item item, std::string& out) {
  if (item_ == item) return;
  close(out);
  item_ = item;
  ++output_index_;
  ordered_json whole = item == Item::kMessage ? message_item(head_, output_index_, "")
                                              : reasoning_item(head_, output_index_, "");
  whole["content"] = ordered_json::array();
  whole["status"] = "in_progress";
  event("response.output_item.added", {{"item", whole}, {"output_index", output_index_}}, out);
  ordered_json part = place();
  part["content_index"] = 0;
  part["part"] = item == Item::kMessage ? ordered_json{{"annotations", ordered_json::array()},
                                                       {"text", ""},
                                                       {"type", "output_text"},
                                                       {"logprobs", ordered_json::array()}}
                                        : ordered_json{{"text", ""}, {"type", "reasoning_text"}};
  event("response.content_part.added", part, out);
}

void ResponsesStream::open_call(const ToolCallDelta& call, std::string& out) {
  close(out);
  item_ = Item::kCall;
  ++output_index_;
  call_ = call.index;
  name_ = call.name;
  ordered_json whole = call_item(request_.format, head_, output_index_, call_, name_, "");
  whole["status"] = "in_progress";
  event("response.output_item.added", {{"item", whole}, {"output_index", output_index_}}, out);
}

void ResponsesStream::close(std::string& out) {
  if (item_ == Item::kNone) return;
  ordered_json done = place();
  ordered_json whole;
  if (item_ == Item::kCall) {
    whole = call_item(request_.format, head_, output_index_, call_, name_, said_);
    done["arguments"] = said_;
    done["name"] = name_;
    event("response.function_call_arguments.done", done, out);
  } else {
    const bool message = item_ == Item::kMessage;
    whole = message ? message_item(head_, output_index_, said_)
                    : reasoning_item(head_, output_index_, said_);
    ordered_json part = place();
    part["content_index"] = done["content_index"] = 0;
    done["text"] = said_;
    if (message) done["logprobs"] = ordered_json::array();
    event(message ? "response.output_text.done" : "response.reasoning_text.done", done, out);
    part["part"] = whole["content"].empty() ? ordered_json::object() : whole["content"][0];
    event("response.content_part.done", part, out);
  }
  event("response.output_item.done", {{"item", whole}, {"output_index", output_index_}}, out);
  output_.push_back(whole);
  said_.clear();
  item_ = Item::kNone;
}

void ResponsesStream::text(Item item, const std::string& delta, std::string& out) {
  if (delta.empty()) return;
  open(item, out);
  said_ += delta;
  ordered_json fields = place();
  fields["content_index"] = 0;
  fields["delta"] = delta;
  if (item == Item::kMessage) fields["logprobs"] = ordered_json::array();
  event(item == Item::kMessage ? "response.output_text.delta" : "response.reasoning_text.delta",
        fields, out);
}

std::string ResponsesStream::delta(const Choice& choice) {
  std::string out;
  whole_.token_ids.insert(whole_.token_ids.end(), choice.token_ids.begin(), choice.token_ids.end());
  whole_.finish_reason = choice.finish_reason;
  const auto tell = [&](const ParsedText& parsed) {
    text(Item::kReasoning, parsed.reasoning, out);
    text(Item::kMessage, parsed.content, out);
    for (const ToolCallDelta& call : parsed.calls) {
      if (!call.name.empty()) open_call(call, out);
      if (call.arguments.empty()) continue;
      said_ += call.arguments;
      ordered_json fields = place();
      fields["delta"] = call.arguments;
      event("response.function_call_arguments.delta", fields, out);
    }
  };
  tell(parser_.add(choice.text));
  if (choice.finish_reason) tell(parser_.finish());
  return out;
}

std::string ResponsesStream::finish() {
  std::string out;
  if (item_ == Item::kNone && output_.empty()) open(Item::kMessage, out);
  close(out);
  const ordered_json response =
      response_of(request_, head_, status_of(whole_), output_, usage_of(request_, whole_, prompt_));
  event("response.completed", {{"response", response}}, out);
  return out;
}

std::string ResponsesStream::fail(const ApiError& error) {
  std::string out;
  event("error",
        {{"code", std::to_string(error.status)}, {"message", error.message}, {"param", nullptr}},
        out);
  return out;
}

}  // namespace touchstone::server::api
