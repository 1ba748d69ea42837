// From logits to a token, in vLLM's order: log-probabilities of the raw logits, bias and masks,
// penalties, greedy or temperature, min-p, top-k, top-p, draw.
// Source: vLLM 0.32 v1/sample/sampler.py. Pure: a token depends on (logits, params, history,
// position) alone, never on the batch. Thread-safe (each call with its own scratch).
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "reference_engine/sampling/params.h"

namespace touchstone::sampling {

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  int32_t rank = 0;  ///< 1 = most likely
};

struct Sampled {
  int32_t token = 0;
  /// With Params::logprobs: the sampled token first, then the most likely ones in order.
  std::vector<TokenLogprob> logprobs;
};

/// What was said so far, for penalties, bad words and min_tokens.
struct History {
  std::span<const int32_t> prompt;
  std::span<const int32_t> output;  ///< its size is the position of the draw
};

/// Working memory kept between calls so that sampling does not allocate.
struct Scratch {
  std::vector<float> logits;
  std::vector<int32_t> candidates;
  std::vector<int32_t> selection;
  std::vector<int32_t> counts;
  std::vector<double> weights;
};

/// `logits`: (vocab) f32, unchanged.
Sampled sample(std::span<const float> logits, const Params& params, const History& history,
               Scratch& scratch);

/// Log-probabilities of `token` and the `top` most likely ones, for prompt_logprobs.
std::vector<TokenLogprob> token_logprobs(std::span<const float> logits, int32_t token, int32_t top);

}  // namespace touchstone::sampling
