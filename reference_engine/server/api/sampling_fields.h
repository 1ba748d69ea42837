// The sampling part that completions and chat share: its fields as sent, and what becomes of them.
// Pure. Source: vLLM 0.32 sampling_params.py (order and words of the checks).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reference_engine/server/api/api_error.h"
#include "reference_engine/server/api/context.h"
#include "reference_engine/server/api/generation_request.h"
#include "reference_engine/server/api/schema.h"

namespace touchstone::server::api {

/// As sent; absent values take defaults in resolve().
struct SamplingFields {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int64_t> top_k;
  std::optional<double> min_p;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::optional<double> repetition_penalty;
  int64_t n = 1;
  std::optional<int64_t> seed;
  std::vector<std::string> stop;
  std::vector<int64_t> stop_token_ids;
  std::vector<std::string> bad_words;
  std::optional<std::vector<int64_t>> allowed_token_ids;
  std::vector<std::pair<std::string, double>> logit_bias;
  bool include_stop_str_in_output = false;
  bool ignore_eos = false;
  int64_t min_tokens = 0;
  bool skip_special_tokens = true;
  bool spaces_between_special_tokens = true;
  std::optional<int64_t> logprobs;
  std::optional<int64_t> prompt_logprobs;
};

/// Reads the fields, except n and the two logprobs, which the endpoints spell differently.
SamplingFields read_sampling_fields(Body& body, const ApiContext& context);

/// Checks ranges against the prompts (filled, with their max_tokens) and fills what belongs to
/// sampling in `request`.
std::optional<ApiError> resolve_sampling(const SamplingFields& fields, const ApiContext& context,
                                         GenerationRequest& request);

/// `message (parameter=NAME, value=VALUE)`, type BadRequestError, param NAME.
ApiError parameter_error(const std::string& message, const std::string& parameter,
                         const std::optional<std::string>& value = std::nullopt);
/// type BadRequestError, no param.
ApiError bad_request(std::string message);

}  // namespace touchstone::server::api
