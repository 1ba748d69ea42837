#include "reference_engine/server/api/known_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

namespace touchstone::server::api {
namespace {

using nlohmann::json;
using Use = KnownField::Use;

constexpr unsigned kC = static_cast<unsigned>(BodyKind::kCompletion);
constexpr unsigned kH = static_cast<unsigned>(BodyKind::kChat);
constexpr unsigned kT = static_cast<unsigned>(BodyKind::kTokenize);
constexpr unsigned kD = static_cast<unsigned>(BodyKind::kDetokenize);
constexpr unsigned kR = static_cast<unsigned>(BodyKind::kResponses);
constexpr size_t kUnknownShown = 10;
constexpr size_t kNameBytesMax = 64;

constexpr const char* kRetiredTools = "it was retired; tools and tool_choice took its place";
constexpr const char* kNoConnector = "there is no connector";
constexpr const char* kGuided = "it was retired; structured_outputs took its place";
constexpr const char* kNoBudget = "reasoning is not cut off";

constexpr KnownField kFields[] = {
    {"model", kC | kH | kT | kD | kR},
    {"prompt", kC | kT},
    {"prompt_embeds", kC, Use::kHonoured, "a 400, as from vLLM without --enable-prompt-embeds"},
    {"suffix", kC, Use::kHonoured, "a 400, as from vLLM: no model here fills in the middle"},
    {"messages", kH | kT},
    {"tokens", kD},
    {"return_token_strs", kT},
    {"max_tokens", kC | kH},
    {"max_completion_tokens", kH},
    {"n", kC | kH},
    {"echo", kC | kH},
    {"stream", kC | kH | kR},
    {"stream_options", kC | kH},
    {"logprobs", kC | kH},
    {"top_logprobs", kH},
    {"prompt_logprobs", kC | kH},
    {"seed", kC | kH | kR},
    {"temperature", kC | kH | kR},
    {"top_p", kC | kH | kR},
    {"top_k", kC | kH | kR},
    {"min_p", kC | kH | kR},
    {"presence_penalty", kC | kH | kR},
    {"frequency_penalty", kC | kH | kR},
    {"repetition_penalty", kC | kH | kR},
    {"logit_bias", kC | kH | kR},
    {"bad_words", kC | kH},
    {"stop", kC | kH | kR},
    {"stop_token_ids", kC | kH | kR},
    {"include_stop_str_in_output", kC | kH | kR},
    {"ignore_eos", kC | kH | kR},
    {"min_tokens", kC | kH},
    {"skip_special_tokens", kC | kH | kR},
    {"truncate_prompt_tokens", kC | kH},
    {"truncation_side", kC | kH},
    {"add_special_tokens", kC | kH | kT},
    {"priority", kC | kH | kR},
    {"request_id", kC | kH | kR},
    {"cache_salt", kC | kH | kR},
    {"return_token_ids", kC | kH},
    {"return_tokens_as_token_ids", kC | kH},
    {"return_prompt_text", kH},
    {"response_format", kC | kH},
    {"structured_outputs", kC | kH | kR},
    {"allowed_token_ids", kC | kH},
    {"use_beam_search", kC | kH},
    {"length_penalty", kC | kH},
    {"tools", kH | kT | kR},
    {"tool_choice", kH | kR},
    {"parallel_tool_calls", kH | kR},
    {"include_reasoning", kH | kR},
    {"stream_interval", kC | kH},
    {"add_generation_prompt", kH | kT},
    {"continue_final_message", kH | kT},
    {"documents", kH | kT},
    {"chat_template", kH | kT},
    {"chat_template_kwargs", kH | kT | kR},
    {"reasoning_effort", kH},

    {"input", kR},
    {"instructions", kR},
    {"max_output_tokens", kR},
    {"text", kR},
    {"reasoning", kR},
    {"truncation", kR},
    {"previous_response_id", kR},
    {"background", kR},

    {"metadata", kR, Use::kHarmless, "it is repeated in the answer"},
    {"service_tier", kR, Use::kHarmless, "it is repeated in the answer"},
    {"store", kR},
    {"max_tool_calls", kR, Use::kHarmless, "tools are the client's to call"},
    {"prompt_cache_key", kR, Use::kHarmless, "vLLM ignores it too"},
    {"user", kC | kH | kR, Use::kHarmless, "vLLM ignores it too"},
    {"session_id", kC | kH | kR, Use::kHarmless, "there is one replica to route to"},
    {"spaces_between_special_tokens", kC | kH, Use::kHarmless,
     "byte-level decoders put no spaces between tokens"},
    {"vllm_xargs", kC | kH | kR, Use::kHarmless, "no extension reads it"},
    {"return_token_offsets", kC | kH, Use::kHarmless, "only render endpoints read it"},
    {"return_mm_kwargs", kC | kH | kR, Use::kHarmless, "only render endpoints read it"},
    {"mm_payload", kC | kH | kR, Use::kHarmless, "only render endpoints read it"},
    {"media_io_kwargs", kH | kT | kR, Use::kHarmless, "messages are text"},
    {"mm_processor_kwargs", kH | kT | kR, Use::kHarmless, "messages are text"},

    {"top_logprobs", kR, Use::kRefused, "responses carry no log-probabilities", "0"},
    {"include", kR, Use::kRefused, "responses carry nothing besides their output"},
    {"prompt", kR, Use::kRefused, "there are no stored prompts"},
    {"previous_input_messages", kR, Use::kRefused, "the input holds the conversation"},
    {"enable_response_messages", kR, Use::kRefused, "raw messages are not sent", nullptr, true},
    {"watermarking", kC | kH | kR, Use::kRefused, "there are no watermarks", nullptr, true},
    {"return_assistant_tokens_mask", kH, Use::kRefused, "templates give no mask", nullptr, true},
    {"guided_json", kC | kH, Use::kRefused, kGuided},
    {"guided_regex", kC | kH, Use::kRefused, kGuided},
    {"guided_choice", kC | kH, Use::kRefused, kGuided},
    {"guided_grammar", kC | kH, Use::kRefused, kGuided},
    {"guided_decoding_backend", kC | kH, Use::kRefused, kGuided},
    {"guided_whitespace_pattern", kC | kH, Use::kRefused, kGuided},
    {"logprob_token_ids", kC | kH, Use::kRefused, "log-probabilities are of the most likely"},
    {"repetition_detection", kC | kH, Use::kRefused, "repetitions are not looked for"},
    {"thinking_token_budget", kC | kH, Use::kRefused, kNoBudget, "-1"},
    {"routed_experts_prompt_start", kC | kH, Use::kRefused, "models have no experts", "0"},
    {"kv_transfer_params", kC | kH | kR, Use::kRefused, kNoConnector},
    {"ec_transfer_params", kC | kH | kR, Use::kRefused, kNoConnector},
    {"functions", kH, Use::kRefused, kRetiredTools},
    {"function_call", kH, Use::kRefused, kRetiredTools, "\"none\""},
};

bool is_of(const KnownField& field, BodyKind kind) {
  return (field.kinds & static_cast<unsigned>(kind)) != 0;
}

/// Whether the value asks for something.
bool asks(const Body& body, const KnownField& field) {
  const json& value = body.raw(field.name);
  if (field.is_boolean) {
    SchemaErrors ignored;  // reported before
    return Body(body.tree(), ignored).boolean(field.name).value_or(false);
  }
  if (!body.truthy(field.name) && !value.is_number()) return false;
  return field.neutral == nullptr || value != json::parse(field.neutral);
}

}  // namespace

std::span<const KnownField> known_fields() { return kFields; }

void read_refused_fields(Body& body, BodyKind kind) {
  for (const KnownField& field : known_fields()) {
    if (field.is_boolean && is_of(field, kind)) (void)body.boolean(field.name);
  }
}

std::optional<ApiError> refuse_unsupported(const Body& body, BodyKind kind) {
  const auto refuse = [](const std::string& what, const char* reason) {
    return ApiError{501, "NotImplementedError",
                    what + " is not supported by this server: " + reason, std::nullopt};
  };
  for (const KnownField& field : known_fields()) {
    if (field.use != Use::kRefused || !is_of(field, kind)) continue;
    if (asks(body, field)) return refuse(field.name, field.reason);
  }
  return std::nullopt;
}

std::vector<std::string> unknown_fields(const Body& body, BodyKind kind) {
  std::vector<std::string> names;
  for (const auto& [name, value] : body.tree().items()) {
    const bool known =
        std::any_of(known_fields().begin(), known_fields().end(), [&](const KnownField& field) {
          return is_of(field, kind) && name == std::string_view(field.name);
        });
    if (known) continue;
    names.push_back(name.substr(0, kNameBytesMax));
    if (names.size() == kUnknownShown) break;
  }
  return names;
}

}  // namespace touchstone::server::api
