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
constexpr size_t kUnknownShown = 10;
constexpr size_t kNameBytesMax = 64;

constexpr const char* kNoTools = "tool calls are not parsed";
constexpr const char* kNoConnector = "there is no connector";
constexpr const char* kGuided = "it was retired; structured_outputs took its place";
constexpr const char* kNoReasoning = "reasoning is not parsed";

constexpr KnownField kFields[] = {
    {"model", kC | kH | kT | kD},
    {"prompt", kC | kT},
    {"prompt_embeds", kC},
    {"suffix", kC},
    {"messages", kH | kT},
    {"tokens", kD},
    {"return_token_strs", kT},
    {"max_tokens", kC | kH},
    {"max_completion_tokens", kH},
    {"n", kC | kH},
    {"echo", kC | kH},
    {"stream", kC | kH},
    {"stream_options", kC | kH},
    {"logprobs", kC | kH},
    {"top_logprobs", kH},
    {"prompt_logprobs", kC | kH},
    {"seed", kC | kH},
    {"temperature", kC | kH},
    {"top_p", kC | kH},
    {"top_k", kC | kH},
    {"min_p", kC | kH},
    {"presence_penalty", kC | kH},
    {"frequency_penalty", kC | kH},
    {"repetition_penalty", kC | kH},
    {"logit_bias", kC | kH},
    {"bad_words", kC | kH},
    {"stop", kC | kH},
    {"stop_token_ids", kC | kH},
    {"include_stop_str_in_output", kC | kH},
    {"ignore_eos", kC | kH},
    {"min_tokens", kC | kH},
    {"skip_special_tokens", kC | kH},
    {"truncate_prompt_tokens", kC | kH},
    {"truncation_side", kC | kH},
    {"add_special_tokens", kC | kH | kT},
    {"priority", kC | kH},
    {"request_id", kC | kH},
    {"cache_salt", kC | kH},
    {"return_token_ids", kC | kH},
    {"return_tokens_as_token_ids", kC | kH},
    {"return_prompt_text", kH},
    {"response_format", kC | kH},
    {"tools", kH | kT},
    {"tool_choice", kH},
    {"add_generation_prompt", kH | kT},
    {"continue_final_message", kH | kT},
    {"documents", kH | kT},
    {"chat_template", kH | kT},
    {"chat_template_kwargs", kH | kT},
    {"reasoning_effort", kH},

    {"user", kC | kH, Use::kHarmless, "vLLM ignores it too"},
    {"session_id", kC | kH, Use::kHarmless, "there is one replica to route to"},
    {"length_penalty", kC | kH, Use::kHarmless, "only beam search reads it"},
    {"spaces_between_special_tokens", kC | kH, Use::kHarmless,
     "byte-level decoders put no spaces between tokens"},
    {"vllm_xargs", kC | kH, Use::kHarmless, "no extension reads it"},
    {"return_token_offsets", kC | kH, Use::kHarmless, "only render endpoints read it"},
    {"return_mm_kwargs", kC | kH, Use::kHarmless, "only render endpoints read it"},
    {"media_io_kwargs", kH | kT, Use::kHarmless, "messages are text"},
    {"mm_processor_kwargs", kH | kT, Use::kHarmless, "messages are text"},
    {"parallel_tool_calls", kH, Use::kHarmless, kNoTools},
    {"include_reasoning", kH, Use::kHarmless, kNoReasoning},

    {"use_beam_search", kC | kH, Use::kRefused, "there is no beam search", nullptr, true},
    {"watermarking", kC | kH, Use::kRefused, "there are no watermarks", nullptr, true},
    {"return_assistant_tokens_mask", kH, Use::kRefused, "templates give no mask", nullptr, true},
    {"structured_outputs", kC | kH, Use::kRefused, "output is not constrained"},
    {"guided_json", kC | kH, Use::kRefused, kGuided},
    {"guided_regex", kC | kH, Use::kRefused, kGuided},
    {"guided_choice", kC | kH, Use::kRefused, kGuided},
    {"guided_grammar", kC | kH, Use::kRefused, kGuided},
    {"guided_decoding_backend", kC | kH, Use::kRefused, kGuided},
    {"guided_whitespace_pattern", kC | kH, Use::kRefused, kGuided},
    {"allowed_token_ids", kC | kH, Use::kRefused, "output is not constrained"},
    {"logprob_token_ids", kC | kH, Use::kRefused, "log-probabilities are of the most likely"},
    {"repetition_detection", kC | kH, Use::kRefused, "repetitions are not looked for"},
    {"thinking_token_budget", kC | kH, Use::kRefused, kNoReasoning, "-1"},
    {"stream_interval", kC | kH, Use::kRefused, "every token is sent when it is there", "1"},
    {"routed_experts_prompt_start", kC | kH, Use::kRefused, "models have no experts", "0"},
    {"kv_transfer_params", kC | kH, Use::kRefused, kNoConnector},
    {"ec_transfer_params", kC | kH, Use::kRefused, kNoConnector},
    {"functions", kH, Use::kRefused, kNoTools},
    {"function_call", kH, Use::kRefused, kNoTools, "\"none\""},
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
  (void)body.object("response_format");
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
  const json& format = body.raw("response_format");
  if (format.is_object() && format.value("type", json()) != "text") {
    return refuse("response_format " + format.value("type", json()).dump(),
                  "output is not constrained");
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
