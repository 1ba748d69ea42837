// From logits to a token, in vLLM's order: bias and masks, penalties, greedy or temperature, min-p,
// top-k, top-p, draw.
// Source: vLLM 0.32 v1/sample/sampler.py. Pure: a token depends on (logits, params, history,
// position) alone, never on the batch. Thread-safe (each call with its own scratch).
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "reference_engine/sampling/params.h"

namespace touchstone::sampling {

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
int32_t sample(std::span<const float> logits, const Params& params, const History& history,
               Scratch& scratch);

/// A bit for every token of the vocabulary: token t is bit t % 32 of word t / 32, 1 = allowed; the
/// layout of vLLM and xgrammar.
constexpr int64_t bitmask_words(int32_t vocab_size) { return (int64_t{vocab_size} + 31) / 32; }
/// What is not allowed becomes minus infinity. Comes before everything else, log-probabilities
/// included. REQUIRES: words.size() == bitmask_words(logits.size()).
void apply_token_bitmask(std::span<const int32_t> words, std::span<float> logits);

}  // namespace touchstone::sampling
