// One validated POST /v1/completions or /v1/chat/completions, and how bodies become one.
// Pure functions: no sockets, threads, clocks or randomness. Thread-safe.
// Source: vLLM 0.32.0 (recorded exchanges; entrypoints/openai/*/protocol.py, sampling_params.py).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "reference_engine/grammar/grammar_spec.h"
#include "reference_engine/sampling/params.h"
#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/parsers/answer_parser.h"
#include "reference_engine/server/api/served_adapter.h"

namespace touchstone::server::api {

enum class Endpoint { kCompletions, kChatCompletions };

struct Prompt {
  std::vector<int32_t> token_ids;  ///< 1 <= size; size + max_tokens <= max_model_len
  std::string text;                ///< as sent, rendered from the messages, or decoded from ids
  int32_t max_tokens = 0;          ///< >= 1: the most tokens to generate for this prompt
};

/// use_beam_search: GenerationRequest::n is the width. As in vLLM nothing else of sampling counts
/// but max_tokens, ignore_eos, include_stop_str_in_output, skip_special_tokens and logprobs.
struct BeamOptions {
  double length_penalty = 1.0;  ///< scores are divided by the length to this power
};

struct GenerationRequest {
  Endpoint endpoint = Endpoint::kCompletions;
  std::string model;                             ///< the name that responses carry
  std::shared_ptr<const ServedAdapter> adapter;  ///< null: the base model
  /// The client's X-Request-Id or body request_id. Absent: the server makes 16 hex digits.
  /// The response id is response_id_prefix(endpoint) + base.
  std::optional<std::string> request_id_base;
  std::vector<Prompt> prompts;  ///< chat: one
  int32_t n = 1;                ///< choices per prompt; choice index = prompt index * n + i

  /// Without `seed`, which is below. min_tokens and masked_before_min_tokens are filled.
  sampling::Params sampling;
  /// Choice i of a prompt uses seed + i; absent: the engine's stream gives one.
  std::optional<int64_t> seed;

  std::vector<std::string> stop;  ///< stop strings, none empty
  bool include_stop_str_in_output = false;
  std::vector<int32_t> eos_token_ids;   ///< finish "stop", stop_reason null; empty: ignore_eos
  std::vector<int32_t> stop_token_ids;  ///< finish "stop", stop_reason the id
  bool ignore_eos = false;
  int32_t min_tokens = 0;
  bool skip_special_tokens = true;
  bool spaces_between_special_tokens = true;

  std::optional<BeamOptions> beams;             ///< absent: choices are sampled
  AnswerFormat format;                          ///< chat: how the answer is read
  std::optional<grammar::GrammarSpec> grammar;  ///< what the answer must look like
  std::vector<int32_t> allowed_token_ids;       ///< nothing else is said; empty: everything may

  bool stream = false;
  int32_t stream_interval = 1;          ///< tokens of an event, except the first and the last
  bool include_usage = false;           ///< a usage chunk at the end of the stream
  bool continuous_usage_stats = false;  ///< usage in every chunk
  bool echo = false;
  /// echo with max_tokens 0: one token is generated (Prompt::max_tokens is 1) and not shown.
  bool prompt_only = false;
  /// Completions: top log-probabilities per token; chat: top_logprobs. Absent: none.
  std::optional<int32_t> logprobs;
  std::optional<int32_t> prompt_logprobs;
  bool return_token_ids = false;
  bool return_tokens_as_token_ids = false;
  /// The role of chat choices: "assistant", or the last message's with add_generation_prompt off.
  std::string response_role = "assistant";
  /// Chat with echo: the last message's text when its role is response_role, said before the
  /// answer.
  std::string chat_echo;
  bool return_prompt_text = false;
  /// JSON that a response of /v1/responses repeats of its request; null: this is no such request.
  std::shared_ptr<const std::string> responses;
  bool background = false;   ///< of such a request: nobody waits for its answer
  std::string conversation;  ///< of one whose response is kept: its messages as JSON
  int64_t priority = 0;      ///< lower is sooner
  std::string cache_salt;    ///< enters the prefix hash; empty: none
  std::string user;
  /// Chat, with ApiContext::keep_messages: role and text of each message as sent.
  std::vector<std::pair<std::string, std::string>> messages;
  std::vector<std::string> unknown_fields;  ///< of the body, at most ten: sent, and ignored
};

/// The header fields that change what a body means. Names in any case.
struct RequestHeaders {
  std::string content_type;
  std::optional<std::string> x_request_id;
  std::optional<std::string> x_vllm_priority;
};

std::string_view response_id_prefix(Endpoint endpoint);  // "cmpl-", "chatcmpl-"

using ParsedGeneration = std::variant<GenerationRequest, ApiError>;

/// REQUIRES: context.tokenizer.
ParsedGeneration parse_completion(std::string_view body, const RequestHeaders& headers,
                                  const ApiContext& context);
ParsedGeneration parse_chat(std::string_view body, const RequestHeaders& headers,
                            const ApiContext& context);

struct TokenizeRequest {
  std::vector<int32_t> token_ids;
  bool return_token_strs = false;
  std::vector<std::string> unknown_fields;  ///< as of a GenerationRequest
};
struct DetokenizeRequest {
  std::vector<int32_t> token_ids;
  std::vector<std::string> unknown_fields;
};

std::variant<TokenizeRequest, ApiError> parse_tokenize(std::string_view body,
                                                       const RequestHeaders& headers,
                                                       const ApiContext& context);
std::variant<DetokenizeRequest, ApiError> parse_detokenize(std::string_view body,
                                                           const RequestHeaders& headers,
                                                           const ApiContext& context);

}  // namespace touchstone::server::api
