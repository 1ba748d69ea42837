// Fields that both generation endpoints read the same way, besides sampling. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/prompts.h"
#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {

/// Checks vLLM makes before it looks at any other field. `logprobs_key`: "logprobs" or
/// "top_logprobs".
std::optional<ApiError> check_stream_options(const Body& body);
std::optional<ApiError> check_logprobs_fields(const Body& body, const char* logprobs_key);

/// What beam search is not done with, and logprobs_key as above.
std::optional<ApiError> check_beams(const Body& body, const GenerationRequest& request);

/// stream, use_beam_search, user, priority, request_id, …
void read_common_fields(Body& body, const RequestHeaders& headers, const ApiContext& context,
                        GenerationRequest& request);
/// truncate_prompt_tokens, truncation_side, add_special_tokens.
void read_truncation(Body& body, bool add_special_tokens_default, PromptLimits& limits);

/// 404 when `name` is sent and not served. `adapter` gets the one that it means, if it means one.
std::optional<ApiError> check_model(const std::optional<std::string>& name,
                                    const ApiContext& context,
                                    std::shared_ptr<const ServedAdapter>* adapter = nullptr);
/// The same; the request gets its model and adapter.
std::optional<ApiError> choose_model(const std::optional<std::string>& name,
                                     const ApiContext& context, GenerationRequest& request);

}  // namespace touchstone::server::api
