// Log-probabilities in the three shapes that vLLM writes. Pure. `logprobs` entries hold the token
// itself first, then the most likely ones (which may contain it again).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "reference_engine/sampling/logprobs.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/generation_request.h"

namespace touchstone::server::api {

using TokenLogprobs = std::vector<sampling::TokenLogprob>;

/// The tokens of one completion choice, or of its next event; an empty entry has no log-probability
/// (the first prompt token). `first_offset`: characters before the first token.
struct CompletionLogprobs {
  std::span<const int32_t> token_ids;
  std::span<const TokenLogprobs> logprobs;
  int64_t first_offset = 0;
};
/// {"text_offset":[…],"token_logprobs":[…],"tokens":[…],"top_logprobs":[…]}
void append_completion_logprobs(std::string& out, const CompletionLogprobs& tokens,
                                const GenerationRequest& request, const ApiContext& context);

/// {"content":[{"token":…,"logprob":…,"bytes":[…],"top_logprobs":[…]}]}
void append_chat_logprobs(std::string& out, std::span<const TokenLogprobs> logprobs,
                          const GenerationRequest& request, const ApiContext& context);

/// [null,{"306":{"logprob":…,"rank":…,"decoded_token":…}},…]
void append_prompt_logprobs(std::string& out, std::span<const TokenLogprobs> logprobs,
                            const ApiContext& context);

}  // namespace touchstone::server::api
