// What a block needs to choose among the tokens of one row: their order, their weights and the
// selection of the most likely ones. Order, weights and draw are those of sampling/, bit for bit.
// Device code.
#pragma once

#include <cstdint>

#include "reference_engine/backend/cuda/kernels/device.h"
#include "reference_engine/backend/cuda/kernels/reduce.h"

namespace touchstone::backend::cuda {

constexpr int kVocabularyThreads = 512;
constexpr int kVocabularyWarps = kVocabularyThreads / 32;

/// Larger for more likely: 32 bits that order as the logit does, then the id, lower first. Zeros
/// are equal whatever their sign; what is no number comes last.
TOUCHSTONE_DEVICE uint64_t likelihood_key(float logit, int32_t token) {
  if (logit != logit) return 0;
  const uint32_t bits = bits_of(logit + 0.0F);
  const uint32_t ordered = bits >> 31U != 0 ? ~bits : bits | 0x80000000U;
  return uint64_t{ordered} << 32U | (0xFFFFFFFFU - static_cast<uint32_t>(token));
}
TOUCHSTONE_DEVICE int32_t token_of_key(uint64_t key) {
  return static_cast<int32_t>(0xFFFFFFFFU - static_cast<uint32_t>(key));
}

/// sampling/exponential.cc: e^x in these steps, none of them fused.
TOUCHSTONE_DEVICE double exponential(double x) {
  constexpr double kTaylor[] = {1.0,
                                1.0,
                                1.0 / 2,
                                1.0 / 6,
                                1.0 / 24,
                                1.0 / 120,
                                1.0 / 720,
                                1.0 / 5040,
                                1.0 / 40320,
                                1.0 / 362880,
                                1.0 / 3628800,
                                1.0 / 39916800,
                                1.0 / 479001600};
  constexpr double kRounding = 0x1.8p52;
  const double shifted = add_rn(mul_rn(x, 1.4426950408889634), kRounding);
  const double n = add_rn(shifted, -kRounding);
  const double high = add_rn(x, -mul_rn(n, 6.93147180369123816490e-01));
  const double r = add_rn(high, -mul_rn(n, 1.90821492927058770002e-10));
  double sum = kTaylor[12];
  TOUCHSTONE_UNROLL
  for (int i = 11; i >= 0; --i) sum = add_rn(mul_rn(sum, r), kTaylor[i]);
  return mul_rn(sum, double_of((bits_of(shifted) + 1023) << 52U));
}

/// What `logit` weighs relative to `top`: sampling's exponentials() with grid 0, its draw_weights()
/// with grid 2^17.
TOUCHSTONE_DEVICE double token_weight(float logit, double top, double scale, double grid) {
  const double x = mul_rn(add_rn(static_cast<double>(logit), -top), scale);
  if (!(x > -700.0)) return 0.0;
  return add_rn(add_rn(exponential(x), grid), -grid);
}

/// Scratch of the functions below.
struct VocabularyScratch {
  Shared<uint64_t> keys;   // (kVocabularyWarps)
  Shared<double> weights;  // (kVocabularyWarps)
};

/// The most likely token of logit(0) … logit(vocab - 1), as sampling::argmax(): token 0 when its
/// logit is no number, for nothing is larger then.
template <typename F>
TOUCHSTONE_DEVICE int32_t most_likely(int32_t vocab, const F& logit, const Shared<uint64_t>& keys) {
  uint64_t best = 0;
  for (int32_t i = thread_index(); i < vocab; i += kVocabularyThreads) {
    const float value = logit(i);
    const uint64_t key = i == 0 && value != value ? ~uint64_t{0} : likelihood_key(value, i);
    best = Larger::of(best, key);
  }
  best = reduce_block<Larger>(best, keys);
  return best == 0 ? 0 : token_of_key(best);
}

/// Keys of a closed range: none when low > high.
struct KeyRange {
  uint64_t low;
  uint64_t high;
};

/// The smallest range of the keys that take part and lie in `within`.
template <typename F>
TOUCHSTONE_DEVICE KeyRange key_range(int32_t vocab, const KeyRange& within, const F& measure,
                                     const Shared<uint64_t>& scratch) {
  uint64_t least = 0;  // as its complement
  uint64_t most = 0;
  for (int32_t i = thread_index(); i < vocab; i += kVocabularyThreads) {
    uint64_t key = 0;
    if (measure(i, key) == 0 || key < within.low || key > within.high) continue;
    least = Larger::of(least, ~key);
    most = Larger::of(most, key);
  }
  return {~reduce_block<Larger>(least, scratch), reduce_block<Larger>(most, scratch)};
}

/// The key of the token at which the measures, summed from the most likely one on, reach `wanted`;
/// 0 when they never do. `measure(i, key)`: of token i, whose key it sets; 0: it does not take
/// part. Sums of measures are exact. The range in which that key lies is cut in eight again and
/// again.
template <typename F>
TOUCHSTONE_DEVICE uint64_t select_cut(int32_t vocab, double wanted, const F& measure,
                                      const VocabularyScratch& scratch) {
  constexpr int kParts = 8;
  KeyRange range = key_range(vocab, {0, ~uint64_t{0}}, measure, scratch.keys);
  double above = 0;  // measured of what is more likely than the range
  while (range.low < range.high) {
    int shift = 0;
    while ((range.high - range.low) >> shift >= kParts) shift += 1;
    double sums[kParts] = {};
    for (int32_t i = thread_index(); i < vocab; i += kVocabularyThreads) {
      uint64_t key = 0;
      const double mine = measure(i, key);
      if (mine == 0 || key < range.low || key > range.high) continue;
      const int part = static_cast<int>((key - range.low) >> shift);
      TOUCHSTONE_UNROLL
      for (int p = 0; p < kParts; ++p) {
        if (p == part) sums[p] = add_rn(sums[p], mine);
      }
    }
    int chosen = -1;
    TOUCHSTONE_UNROLL
    for (int p = kParts - 1; p >= 0; --p) {
      const double sum = reduce_block<Plus>(sums[p], scratch.weights);
      if (chosen >= 0 || sum == 0) continue;
      if (add_rn(above, sum) >= wanted) {
        chosen = p;
      } else {
        above = add_rn(above, sum);
      }
    }
    if (chosen < 0) return 0;
    const uint64_t low = range.low + (static_cast<uint64_t>(chosen) << shift);
    const uint64_t high = low + ((uint64_t{1} << shift) - 1);
    range = key_range(vocab, {low, high < range.high ? high : range.high}, measure, scratch.keys);
  }
  return range.low <= range.high ? range.low : 0;
}

}  // namespace touchstone::backend::cuda
