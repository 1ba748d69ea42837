#include "reference_engine/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/random.h"
#include "reference_engine/sampling/exponential.h"
#include "reference_engine/sampling/likelihood.h"

namespace touchstone::sampling {
namespace {

// vLLM's _SAMPLING_EPS: colder than this is greedy.
constexpr double kGreedyTemperature = 1e-5;
constexpr float kMasked = -std::numeric_limits<float>::infinity();

void mask(std::span<float> logits, int32_t token) {
  if (in_vocabulary(token, logits)) logits[static_cast<size_t>(token)] = kMasked;
}

/// The last token of each word whose other tokens were just said.
void mask_bad_words(std::span<float> logits, const Params& params, const History& history) {
  for (const std::vector<int32_t>& word : params.bad_words) {
    if (word.empty()) continue;
    const size_t before = word.size() - 1;
    if (history.output.size() < before) continue;
    const auto said = history.output.last(before);
    if (std::equal(said.begin(), said.end(), word.begin())) mask(logits, word.back());
  }
}

void apply_bias_and_masks(std::span<float> logits, const Params& params, const History& history) {
  mask_bad_words(logits, params, history);
  if (history.output.size() < static_cast<size_t>(std::max(0, params.min_tokens))) {
    for (const int32_t token : params.masked_before_min_tokens) mask(logits, token);
  }
  for (const auto& [token, bias] : params.logit_bias) {
    if (in_vocabulary(token, logits)) logits[static_cast<size_t>(token)] += bias;
  }
}

/// Repetition over prompt and output, frequency and presence over output, as vLLM has it.
void apply_penalties(std::span<float> logits, const Params& params, const History& history,
                     std::vector<int32_t>& counts) {
  const bool repetition = params.repetition_penalty != 1.0;
  if (!repetition && params.frequency_penalty == 0.0 && params.presence_penalty == 0.0) return;
  counts.assign(logits.size(), 0);  // times said; -1: in the prompt only
  for (const int32_t token : history.prompt) {
    if (in_vocabulary(token, logits)) counts[static_cast<size_t>(token)] = -1;
  }
  for (const int32_t token : history.output) {
    if (!in_vocabulary(token, logits)) continue;
    int32_t& count = counts[static_cast<size_t>(token)];
    count = std::max(count, 0) + 1;
  }
  const float factor = static_cast<float>(params.repetition_penalty);
  for (size_t i = 0; i < logits.size(); ++i) {
    if (counts[i] == 0) continue;
    if (repetition) logits[i] = logits[i] > 0 ? logits[i] / factor : logits[i] * factor;
    if (counts[i] > 0) {
      logits[i] -= static_cast<float>(params.frequency_penalty) * static_cast<float>(counts[i]);
      logits[i] -= static_cast<float>(params.presence_penalty);
    }
  }
}

/// The tokens that weigh at least `least`, by id. Without a branch: they are in no order that a
/// processor could guess.
void collect(std::span<const double> weights, double least, std::vector<int32_t>& tokens) {
  tokens.resize(weights.size());
  size_t count = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    tokens[count] = static_cast<int32_t>(i);
    count += weights[i] >= least ? 1 : 0;
  }
  tokens.resize(count);
}

/// Keeps `last` and what is more likely; candidates keep their order.
void keep_down_to(std::span<const float> logits, int32_t last, std::vector<int32_t>& candidates) {
  const MoreLikely more_likely{logits};
  std::erase_if(candidates, [&](int32_t token) { return more_likely(last, token); });
}

/// The `count` most likely candidates; all when there are no more.
void keep_most_likely(std::span<const float> logits, size_t count, std::vector<int32_t>& candidates,
                      std::vector<int32_t>& selection) {
  if (count >= candidates.size()) return;
  selection = candidates;
  const auto middle = selection.begin() + static_cast<ptrdiff_t>(count);
  // A heap of the best so far turns most candidates away after one comparison, while it is small.
  constexpr size_t kSmallShare = 8;
  if (count < selection.size() / kSmallShare) {
    std::partial_sort(selection.begin(), middle, selection.end(), MoreLikely{logits});
  } else {
    std::nth_element(selection.begin(), middle - 1, selection.end(), MoreLikely{logits});
  }
  keep_down_to(logits, selection[count - 1], candidates);
}

/// The fewest most likely candidates that weigh `wanted` together. Linear: halves are split off by
/// likelihood, and only the half in which the mass is reached is looked at again.
void keep_nucleus(std::span<const float> logits, std::span<const double> weights, double wanted,
                  std::vector<int32_t>& candidates, std::vector<int32_t>& selection) {
  const MoreLikely more_likely{logits};
  const auto weight = [&](int32_t token) { return weights[static_cast<size_t>(token)]; };
  selection = candidates;
  constexpr ptrdiff_t kFew = 32;
  auto first = selection.begin();
  auto last = selection.end();
  double mass = 0;
  while (last - first > kFew) {
    const auto middle = first + (last - first) / 2;
    std::nth_element(first, middle, last, more_likely);
    double half = 0;
    for (auto token = first; token != middle; ++token) half += weight(*token);
    if (mass + half >= wanted) {
      last = middle;
    } else {
      mass += half;
      first = middle;
    }
  }
  std::sort(first, last, more_likely);
  while (last - first > 1 && (mass += weight(*first)) < wanted) ++first;
  keep_down_to(logits, *first, candidates);
}

/// Uniform in [0, 1), a function of seed and position alone.
double uniform_draw(uint64_t seed, uint64_t position) {
  const auto words = philox4x32(
      seed, {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0});
  const uint64_t bits = (uint64_t{words[0]} << 32 | words[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

/// The candidate at the share `u` of the weights, walked in order of token ids.
int32_t inverse_cdf(std::span<const double> weights, const std::vector<int32_t>& candidates,
                    double u) {
  double total = 0;
  for (const int32_t token : candidates) total += weights[static_cast<size_t>(token)];
  const double target = u * total;
  double passed = 0;
  for (const int32_t token : candidates) {
    passed += weights[static_cast<size_t>(token)];
    if (target < passed) return token;
  }
  return candidates.back();  // rounding left target at the very end
}

/// Temperature, min-p, top-k, top-p and the draw. `logits` is overwritten.
int32_t draw(std::span<float> logits, const Params& params, uint64_t position, Scratch& scratch) {
  const float top = logits[static_cast<size_t>(argmax(logits))];
  // Nothing is allowed, or the model yielded no number: the first token, like argmax.
  if (!std::isfinite(top)) return argmax(logits);
  std::vector<double>& weights = scratch.weights;
  weights.resize(logits.size());
  draw_weights(logits, top, params.temperature, weights);
  // The most likely token weighs 1, so weights are probabilities relative to it.
  const double least = std::max(params.min_p, std::numeric_limits<double>::denorm_min());
  // By ids throughout, so that no sum depends on how a selection moved them.
  std::vector<int32_t>& candidates = scratch.candidates;
  if (params.top_k > 0) {
    collect(weights, least, candidates);
    keep_most_likely(logits, static_cast<size_t>(params.top_k), candidates, scratch.selection);
    if (params.top_p < 1.0) {
      double total = 0;
      for (const int32_t token : candidates) total += weights[static_cast<size_t>(token)];
      keep_nucleus(logits, weights, params.top_p * total, candidates, scratch.selection);
    }
  } else if (params.top_p < 1.0) {
    if (params.min_p > 0) {
      for (double& weight : weights) weight = weight >= least ? weight : 0.0;
    }
    const double total = ordered_sum(weights);
    // Tokens below this weigh less than (1 - top_p) * total together, so top_p is reached without
    // them: only few are selected from. Half of the bound, for rounding.
    const double hopeless = 0.5 * (1 - params.top_p) * total / static_cast<double>(weights.size());
    collect(weights, std::max(least, hopeless), candidates);
    keep_nucleus(logits, weights, params.top_p * total, candidates, scratch.selection);
  } else {
    collect(weights, least, candidates);
  }
  return inverse_cdf(weights, candidates, uniform_draw(params.seed, position));
}

}  // namespace

int32_t sample(std::span<const float> logits, const Params& params, const History& history,
               Scratch& scratch) {
  BASE_CHECK(!logits.empty());
  scratch.logits.assign(logits.begin(), logits.end());
  apply_bias_and_masks(scratch.logits, params, history);
  apply_penalties(scratch.logits, params, history, scratch.counts);
  if (params.temperature < kGreedyTemperature) return argmax(scratch.logits);
  return draw(scratch.logits, params, history.output.size(), scratch);
}

void apply_token_bitmask(std::span<const int32_t> words, std::span<float> logits) {
  BASE_CHECK(
      static_cast<int64_t>(words.size()) == bitmask_words(static_cast<int32_t>(logits.size())),
      words.size(), " words for ", logits.size(), " tokens");
  for (size_t i = 0; i < logits.size(); ++i) {
    if ((static_cast<uint32_t>(words[i / 32]) >> (i % 32) & 1U) == 0) logits[i] = kMasked;
  }
}

}  // namespace touchstone::sampling
