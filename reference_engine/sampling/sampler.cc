#include "reference_engine/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/random.h"

namespace touchstone::sampling {
namespace {

// vLLM's _SAMPLING_EPS: colder than this is greedy.
constexpr double kGreedyTemperature = 1e-5;
constexpr float kMasked = -std::numeric_limits<float>::infinity();

/// e^x for x <= 0 with the same bits on every processor (the library's differs in the last bit
/// between instruction sets). Relative error below 1e-15; 0 below -700.
double exp_negative(double x) {
  if (!(x > -700.0)) return 0.0;
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  const double n = std::floor(x * kLog2E + 0.5);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  // Taylor to the 13th power: |r| <= 0.3466 leaves 5e-18.
  double sum = 1.0;
  for (int i = 13; i >= 1; --i) sum = 1.0 + sum * r / i;
  return std::ldexp(sum, static_cast<int>(n));
}

/// Most likely first; equals by lower id, so that every order is total and repeatable.
struct MoreLikely {
  std::span<const float> logits;
  bool operator()(int32_t a, int32_t b) const {
    const float x = logits[static_cast<size_t>(a)];
    const float y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  }
};

int32_t argmax(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return static_cast<int32_t>(best);
}

bool in_vocabulary(int32_t token, std::span<const float> logits) {
  return token >= 0 && static_cast<size_t>(token) < logits.size();
}

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

/// Puts the `count` most likely candidates to the front, unordered. Linear.
void keep_most_likely(std::span<const float> logits, size_t count, std::vector<int32_t>& order) {
  if (count >= order.size()) return;
  std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
                   MoreLikely{logits});
  order.resize(count);
}

/// Keeps the fewest most likely candidates whose probabilities reach `top_p` of `total`. Sorts
/// only as deep as it must: the front, then eight times as much, until the mass is there.
void keep_nucleus(std::span<const float> logits, std::span<const double> weights, double total,
                  double top_p, std::vector<int32_t>& order) {
  const MoreLikely more_likely{logits};
  const double wanted = top_p * total;
  double mass = 0;
  size_t sorted = 0;
  size_t depth = 64;
  while (sorted < order.size()) {
    const size_t end = std::min(order.size(), depth);
    const auto begin = order.begin() + static_cast<ptrdiff_t>(sorted);
    const auto middle = order.begin() + static_cast<ptrdiff_t>(end);
    if (middle != order.end()) std::nth_element(begin, middle, order.end(), more_likely);
    std::sort(begin, middle, more_likely);
    for (; sorted < end; ++sorted) {
      mass += weights[static_cast<size_t>(order[sorted])];
      if (mass >= wanted) {
        order.resize(sorted + 1);
        return;
      }
    }
    depth *= 8;
  }
}

/// Uniform in [0, 1), a function of seed and position alone.
double uniform_draw(uint64_t seed, uint64_t position) {
  const auto words = philox4x32(
      seed, {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0});
  const uint64_t bits = (uint64_t{words[0]} << 32 | words[1]) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

/// The candidate at the share `u` of the weights, walked in order of token ids.
int32_t inverse_cdf(std::span<const double> weights, const std::vector<int32_t>& order, double u) {
  double total = 0;
  for (const int32_t token : order) total += weights[static_cast<size_t>(token)];
  const double target = u * total;
  double passed = 0;
  int32_t last = order.front();
  for (const int32_t token : order) {
    const double weight = weights[static_cast<size_t>(token)];
    if (weight == 0) continue;
    last = token;
    passed += weight;
    if (target < passed) return token;
  }
  return last;  // rounding left target at the very end
}

/// Temperature, min-p, top-k, top-p and the draw. `logits` is overwritten.
int32_t draw(std::span<float> logits, const Params& params, uint64_t position, Scratch& scratch) {
  const float top = logits[static_cast<size_t>(argmax(logits))];
  // Nothing is allowed, or the model yielded no number: the first token, like argmax.
  if (!std::isfinite(top)) return argmax(logits);
  scratch.weights.resize(logits.size());
  scratch.order.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = exp_negative((static_cast<double>(logits[i]) - static_cast<double>(top)) /
                                       params.temperature);
    scratch.weights[i] = weight;
    // The most likely token has weight 1, so weights are probabilities relative to it.
    if (weight > 0 && weight >= params.min_p) scratch.order.push_back(static_cast<int32_t>(i));
  }
  if (params.top_k > 0) {
    keep_most_likely(logits, static_cast<size_t>(params.top_k), scratch.order);
  }
  if (params.top_p < 1.0) {
    // Summed in order of ids, so that the sum does not depend on how the selection moved them.
    std::sort(scratch.order.begin(), scratch.order.end());
    double total = 0;
    for (const int32_t token : scratch.order) total += scratch.weights[static_cast<size_t>(token)];
    keep_nucleus(logits, scratch.weights, total, params.top_p, scratch.order);
  }
  std::sort(scratch.order.begin(), scratch.order.end());
  return inverse_cdf(scratch.weights, scratch.order, uniform_draw(params.seed, position));
}

double log_sum_exp(std::span<const float> logits, double top) {
  double sum = 0;
  for (const float logit : logits) sum += exp_negative(static_cast<double>(logit) - top);
  return top + std::log(sum);
}

}  // namespace

std::vector<TokenLogprob> token_logprobs(std::span<const float> logits, int32_t token,
                                         int32_t top) {
  BASE_CHECK(in_vocabulary(token, logits), token);
  const double most = logits[static_cast<size_t>(argmax(logits))];
  const double normaliser = log_sum_exp(logits, most);
  const auto logprob = [&](int32_t id) {
    return static_cast<float>(static_cast<double>(logits[static_cast<size_t>(id)]) - normaliser);
  };
  std::vector<TokenLogprob> entries;
  // vLLM's rank: how many are at least as likely, so equals share the worst of their ranks.
  const float own = logits[static_cast<size_t>(token)];
  const auto rank = std::count_if(logits.begin(), logits.end(), [&](float x) { return x >= own; });
  entries.push_back({token, logprob(token), static_cast<int32_t>(std::max<ptrdiff_t>(1, rank))});
  const size_t count = std::min(static_cast<size_t>(std::max(0, top)), logits.size());
  if (count == 0) return entries;
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
                    MoreLikely{logits});
  for (size_t i = 0; i < count; ++i) {
    entries.push_back({order[i], logprob(order[i]), static_cast<int32_t>(i) + 1});
  }
  return entries;
}

Sampled sample(std::span<const float> logits, const Params& params, const History& history,
               Scratch& scratch) {
  BASE_CHECK(!logits.empty());
  Sampled sampled;
  const bool greedy = params.temperature < kGreedyTemperature;
  scratch.logits.assign(logits.begin(), logits.end());
  apply_bias_and_masks(scratch.logits, params, history);
  apply_penalties(scratch.logits, params, history, scratch.counts);
  sampled.token = greedy ? argmax(scratch.logits)
                         : draw(scratch.logits, params, history.output.size(), scratch);
  if (params.logprobs) sampled.logprobs = token_logprobs(logits, sampled.token, *params.logprobs);
  return sampled;
}

}  // namespace touchstone::sampling
