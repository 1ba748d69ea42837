// Products with bf16 weights by pairs of inputs (Gemm::pairs in kernels.h), in the order of the
// matrix instruction TDPBF16PS. Part of kernels_impl.h, compiled once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "reference_engine/backend/cpu/kernels.h"
#include "reference_engine/backend/cpu/kernels_blocking.h"
#include "reference_engine/backend/cpu/vec16.h"

namespace touchstone::backend::cpu::TOUCHSTONE_ISA {

constexpr int kHalfWords = kChunk / 2 * 16;  // one half of a panel's columns in one chunk
constexpr int kChunkWords = 2 * kHalfWords;

/// While it lives this thread reads and writes what is smaller than the least normal number as
/// zero, which the matrix instructions always do. Elsewhere than on x86 such numbers stay.
class SmallIsZero final {
 public:
#if defined(__x86_64__)
  TOUCHSTONE_INLINE SmallIsZero() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | kFlushAndZero); }
  TOUCHSTONE_INLINE ~SmallIsZero() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kFlushAndZero = 0x8040;
  unsigned saved_;
#endif
};

/// Which inputs of a chunk one pass over its weights takes.
enum class Inputs { kBoth, kEven, kOdd };

/// even[r][j] and odd[r][j]: the products of R rows and J half panels at one chunk's inputs.
template <int R, int J, Inputs Which>
TOUCHSTONE_INLINE void pairs_pass(const float* a, const uint32_t* const* words,
                                  int64_t prefetch_bytes, Vec16 (&even)[R][J], Vec16 (&odd)[R][J]) {
  constexpr bool kEven = Which != Inputs::kOdd;
  constexpr bool kOdd = Which != Inputs::kEven;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
      if constexpr (kEven) even[r][j] = broadcast(0.0F);
      if constexpr (kOdd) odd[r][j] = broadcast(0.0F);
    }
  }
  for (int pair = 0; pair < kChunk / 2; ++pair) {
    Vec16 weights[J];
    if constexpr (kEven) {
#pragma GCC unroll 8
      for (int j = 0; j < J; ++j) {
        const uint32_t* word = words[j] + pair * 16;
        __builtin_prefetch(reinterpret_cast<const std::byte*>(word) + prefetch_bytes);
        weights[j] = load_low_halves(word);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Vec16 x = broadcast(a[2 * pair * R + r]);
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) even[r][j] = fma(x, weights[j], even[r][j]);
      }
    }
    if constexpr (kOdd) {
#pragma GCC unroll 8
      for (int j = 0; j < J; ++j) weights[j] = load_high_halves(words[j] + pair * 16);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Vec16 x = broadcast(a[(2 * pair + 1) * R + r]);
#pragma GCC unroll 8
        for (int j = 0; j < J; ++j) odd[r][j] = fma(x, weights[j], odd[r][j]);
      }
    }
  }
}

/// R rows by P panels (their V halves from `half` on): one chunk after the other.
template <int R, int P, int V>
TOUCHSTONE_INLINE void pairs_block(const GemmTile& t, const uint32_t* b, float* c, int half) {
  constexpr int kHalves = P * V;
  const int64_t stride = t.panel_bytes / static_cast<int64_t>(sizeof(uint32_t));
  const float* a = static_cast<const float*>(t.a);
  for (int64_t k = 0; k < t.k; k += kChunk) {
    const uint32_t* words[kHalves];
#pragma GCC unroll 8
    for (int j = 0; j < kHalves; ++j) words[j] = b + j / V * stride + (half + j % V) * kHalfWords;
    Vec16 even[R][kHalves];
    Vec16 odd[R][kHalves];
    if constexpr (2 * R * kHalves <= kAccumulators) {
      pairs_pass<R, kHalves, Inputs::kBoth>(a, words, t.prefetch_bytes, even, odd);
    } else {  // the registers hold one of the two at a time
      pairs_pass<R, kHalves, Inputs::kEven>(a, words, t.prefetch_bytes, even, odd);
      pairs_pass<R, kHalves, Inputs::kOdd>(a, words, t.prefetch_bytes, even, odd);
    }
    const bool fresh = k == 0 && !t.accumulate;
    const bool rounds = t.rounding == Rounding::kBFloat16 && k + kChunk == t.k;
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < kHalves; ++j) {
        float* at = c + r * t.ldc + j / V * kPanelWidth + (half + j % V) * 16;
        Vec16 sum = add(fresh ? broadcast(0.0F) : load(at), add(even[r][j], odd[r][j]));
        if (rounds) sum = round_to_bf16(sum);
        store(at, sum);
      }
    }
    a += kChunk * R;
    b += kChunkWords;
  }
}

template <int R, int P>
TOUCHSTONE_INLINE void pairs_panels(const GemmTile& t, int panel) {
  const auto* b =
      reinterpret_cast<const uint32_t*>(static_cast<const std::byte*>(t.b) + panel * t.panel_bytes);
  float* c = t.c + static_cast<int64_t>(panel) * kPanelWidth;
  if constexpr (kVectors == 2) {
    pairs_block<R, P, 2>(t, b, c, 0);
  } else {
    pairs_block<R, P, 1>(t, b, c, 0);
    pairs_block<R, P, 1>(t, b, c, 1);
  }
}

/// Never inlined: no arithmetic may move out of SmallIsZero's life.
template <int R>
__attribute__((noinline)) void pairs_rows(const GemmTile& t) {
  constexpr int kPanels = panels_at_once(2 * R);
  int panel = 0;
  for (; panel + kPanels <= t.panels; panel += kPanels) pairs_panels<R, kPanels>(t, panel);
  if constexpr (kPanels > 1) {
    for (; panel < t.panels; ++panel) pairs_panels<R, 1>(t, panel);
  }
}

template <int R = 1>
void pairs_dispatch(const GemmTile& t) {
  if (t.rows == R) {
    pairs_rows<R>(t);
  } else if constexpr (R < kPairRows) {
    pairs_dispatch<R + 1>(t);
  }
}

inline void gemm_pairs(const GemmTile& t) {
  [[maybe_unused]] const SmallIsZero mode;
  pairs_dispatch(t);
}

/// (k, count), so that a step of K reads one run.
inline void transpose(const float* rows, int64_t stride, int count, int64_t k, void* out) {
  float* packed = static_cast<float*>(out);
  for (int r = 0; r < count; ++r) {
    for (int64_t i = 0; i < k; ++i) packed[i * count + r] = rows[r * stride + i];
  }
}

}  // namespace touchstone::backend::cpu::TOUCHSTONE_ISA
