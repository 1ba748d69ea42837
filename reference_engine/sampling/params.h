// Sampling parameters of one request, already validated and resolved (defaults of
// generation_config.json applied). Source: vLLM 0.32 sampling_params.py. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace touchstone::sampling {

struct Params {
  double temperature = 1.0;  ///< 0: greedy, and top_p, top_k, min_p do not apply
  double top_p = 1.0;        ///< (0, 1]
  int32_t top_k = 0;         ///< 0: off
  double min_p = 0.0;        ///< [0, 1]
  double presence_penalty = 0.0;
  double frequency_penalty = 0.0;
  double repetition_penalty = 1.0;
  /// The counter-based generator's key; a request without one gets it from the engine's stream.
  uint64_t seed = 0;
  int32_t min_tokens = 0;  ///< eos and stop tokens are masked until then
  std::vector<int32_t> masked_before_min_tokens;
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::vector<std::vector<int32_t>> bad_words;  ///< token sequences that must not be completed
  /// Top log-probabilities to return for each sampled token; nullopt: none at all. 0: only the
  /// sampled token's own.
  std::optional<int32_t> logprobs;
  std::optional<int32_t> prompt_logprobs;
};

}  // namespace touchstone::sampling
