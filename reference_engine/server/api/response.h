// JSON bodies and server-sent events of answers, byte for byte as vLLM 0.32.0 writes them: order of
// keys, nulls present or dropped, number forms. Pure: the time (`created`) is passed in.
// Source: recorded exchanges (fixtures/captures/vllm-0.32.0). Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reference_engine/sampling/logprobs.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/generation_request.h"

namespace touchstone::server::api {

/// None, a stop token id, or a stop string.
using StopReason = std::variant<std::monostate, int32_t, std::string>;

/// What one choice has said: everything (full responses), or since the last event (streams).
struct Choice {
  int32_t index = 0;  ///< prompt index * n + i
  std::string text;
  std::vector<int32_t> token_ids;
  /// One entry per token of `token_ids` when log-probabilities were asked for: the sampled token
  /// first, then the most likely ones; else empty.
  std::vector<std::vector<sampling::TokenLogprob>> logprobs;
  /// "stop", "length", "abort"; absent while the choice goes on. Chat answers that call a tool say
  /// "tool_calls" in place of "stop".
  std::optional<std::string> finish_reason;
  StopReason stop_reason;
};

/// What is known of one prompt after it was computed.
struct PromptResult {
  int32_t num_cached_tokens = 0;
  /// With prompt_logprobs: one entry per prompt token: the token itself first, then the most
  /// likely ones; the first entry is empty (nothing precedes the first token).
  std::vector<std::vector<sampling::TokenLogprob>> logprobs;
};

struct ResponseHead {
  std::string id;       ///< "cmpl-…", "chatcmpl-…"
  int64_t created = 0;  ///< Unix seconds
};

/// Besides vLLM's answer: what self-written servers put at the top of theirs.
struct UsageExtension {
  std::string trace_id;                           ///< hex; empty: nobody traces it
  std::optional<std::string> estimated_cost_usd;  ///< a JSON number; absent: no price is known
};

/// A full answer with `text` (of the first choice), `prompt_tokens`, `completion_tokens`,
/// `trace_id` and `estimated_cost_usd` added at its end.
std::string with_usage_extension(std::string response, std::string_view text, int64_t prompt_tokens,
                                 int64_t completion_tokens, const UsageExtension& extension);

/// The whole answer to a request that does not stream. `choices`: all, by index; `prompts`: one per
/// prompt of the request.
std::string full_response(const GenerationRequest& request, const ApiContext& context,
                          const ResponseHead& head, std::span<const Choice> choices,
                          std::span<const PromptResult> prompts);

/// The events of one streamed answer, as text to send as it is.
class AnswerStream {
 public:
  virtual ~AnswerStream() = default;
  /// The prompt is computed and its first token is at hand. May return an empty text.
  virtual std::string prompt_done(size_t prompt_index, const PromptResult& result) = 0;
  /// REQUIRES prompt_done() of its prompt. `choice` holds what is new. May return an empty text.
  virtual std::string delta(const Choice& choice) = 0;
  virtual std::string finish() = 0;
  /// In place of finish() when the engine failed: the error and the end of the stream.
  virtual std::string fail(const ApiError& error) = 0;
};

/// Completions and chats.
///
///   EventStream events(request, context, head);
///   send(events.prompt_done(0, result));       // before the first delta of a prompt's choices
///   send(events.delta(choice));                // for each engine output; also with empty text
///   send(events.finish());                     // usage if asked for, and [DONE]
class EventStream final : public AnswerStream {
 public:
  /// `request` and `context` must outlive this.
  EventStream(const GenerationRequest& request, const ApiContext& context, ResponseHead head);

  /// The role chunks of a chat.
  std::string prompt_done(size_t prompt_index, const PromptResult& result) override;
  /// One event, or none where the text could still become something else.
  std::string delta(const Choice& choice) override;
  /// The usage chunk if the client asked for it, and the end of the stream.
  std::string finish() override;
  std::string fail(const ApiError& error) override;

 private:
  struct ChoiceState {
    int64_t completion_tokens = 0;
    int64_t text_characters = 0;           ///< sent so far, for logprobs.text_offset
    bool started = false;                  ///< echo and prompt_token_ids are said once
    std::unique_ptr<AnswerParser> parser;  ///< null: the text is content
  };
  void completion_delta(const Choice& choice, size_t prompt_index, std::string& out);
  void chat_delta(const Choice& choice, const ParsedText* parsed, std::string& out);
  std::optional<ParsedText> parse_delta(const Choice& choice);
  bool keeps_silent(const Choice& choice, const ParsedText& parsed) const;
  void append_parsed(const ParsedText& parsed, int32_t choice, std::string& out) const;
  std::string role_event(size_t choice_index);
  /// `data: {"id":…,"model":…,"choices":[` and the end of the event after the choices.
  void open_event(std::string& out) const;
  void close_event(std::string& out, size_t prompt_index, int64_t completion_tokens) const;
  std::string usage_event() const;

  const GenerationRequest& request_;
  const ApiContext& context_;
  ResponseHead head_;
  std::vector<PromptResult> prompts_;
  std::vector<ChoiceState> choices_;
};

/// GET /v1/models. One card per served name; permission ids derive from name and time.
std::string models_response(const ApiContext& context, int64_t created);
/// POST /tokenize, /detokenize.
std::string tokenize_response(const TokenizeRequest& request, const ApiContext& context);
std::string detokenize_response(const DetokenizeRequest& request, const ApiContext& context);
/// GET /version, /load.
std::string version_response(std::string_view version);
std::string load_response(int64_t in_flight);

inline constexpr std::string_view kJsonContentType = "application/json";
inline constexpr std::string_view kEventStreamContentType = "text/event-stream; charset=utf-8";

}  // namespace touchstone::server::api
