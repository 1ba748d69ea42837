// From prompt texts and ids to checked prompts: tokenizing, truncating, length limits, and how many
// tokens may be generated. Pure. Source: vLLM 0.32 renderers/params.py, recorded messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/generation_request.h"

namespace touchstone::server::api {

struct PromptLimits {
  std::optional<int64_t> max_tokens;  ///< asked for; absent: as many as fit
  std::string max_tokens_name = "max_tokens";
  std::optional<int64_t> truncate_prompt_tokens;  ///< -1: to what fits
  bool truncate_left = true;                      ///< keep the last tokens
  bool add_special_tokens = true;
};

struct RawTokens {
  std::vector<int32_t> ids;            ///< those beyond 32 bits: INT32_MAX
  std::optional<int64_t> too_large{};  ///< the largest beyond 32 bits, as it was given
};

/// One prompt as sent.
using RawPrompt = std::variant<std::string, RawTokens>;

/// Checks that do not look at the prompts.
std::optional<ApiError> check_limits(const PromptLimits& limits, const ApiContext& context);

/// The prompt with its ids, text and max_tokens (which may come out below 1: the sampling checks
/// say so).
std::variant<Prompt, ApiError> make_prompt(const RawPrompt& raw, const PromptLimits& limits,
                                           const ApiContext& context);

/// "Token id 999999 is out of vocabulary".
std::optional<ApiError> check_vocabulary(const std::vector<Prompt>& prompts,
                                         const ApiContext& context);

}  // namespace touchstone::server::api
