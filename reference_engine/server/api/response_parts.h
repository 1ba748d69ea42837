// Parts that full responses and event streams share. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "reference_engine/server/api/response.h"

namespace touchstone::server::api {

void append_stop_reason(std::string& out, const StopReason& reason);
void append_fingerprint(std::string& out, const ApiContext& context);

/// Where reasoning is asked to be left out, so is what would give it away.
bool hides_tokens(const AnswerFormat& format);
/// As OpenAI has it: an answer that stopped with calls it chose to make says so.
std::string finish_reason_of(const AnswerFormat& format, bool called, const std::string& reason);

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  std::optional<int64_t> cached_tokens = std::nullopt;  ///< absent: no details
};
/// Full responses write every null; streams drop them.
enum class Nulls { kWritten, kDropped };
void append_usage(std::string& out, const Usage& usage, Endpoint endpoint, Nulls nulls);

/// Tokens of all prompts and of one completion list.
int64_t count_prompt_tokens(const GenerationRequest& request);

/// The text and tokens of a completion choice with its echoed prompt in front.
struct EchoedChoice {
  std::string text;
  std::vector<int32_t> token_ids;
  std::vector<std::vector<sampling::TokenLogprob>> logprobs;
};
EchoedChoice with_echo(const GenerationRequest& request, size_t prompt_index,
                       const PromptResult& prompt, const Choice& choice);

}  // namespace touchstone::server::api
