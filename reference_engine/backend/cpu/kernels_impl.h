// The one source of all kernels, compiled once for each instruction set. See vec16.h for the rules.
// Contracts: kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "reference_engine/backend/cpu/kernels.h"
#include "reference_engine/backend/cpu/kernels_blocking.h"
#include "reference_engine/backend/cpu/kernels_pairs.h"
#include "reference_engine/backend/cpu/kernels_rows.h"
#include "reference_engine/backend/cpu/vec16.h"

namespace touchstone::backend::cpu::TOUCHSTONE_ISA {

struct FloatPanel {
  using Element = float;
  static constexpr int64_t kStep = kPanelWidth;  // elements of one step of K
  static constexpr int kLines = 2;               // cache lines of one step
  static TOUCHSTONE_INLINE Vec16 left(const float* p) { return load(p); }
  static TOUCHSTONE_INLINE Vec16 right(const float* p) { return load(p + 16); }
};
struct Bf16Panel {
  using Element = uint32_t;
  static constexpr int64_t kStep = kPanelWidth / 2;
  static constexpr int kLines = 1;
  static TOUCHSTONE_INLINE Vec16 left(const uint32_t* p) { return load_low_halves(p); }
  static TOUCHSTONE_INLINE Vec16 right(const uint32_t* p) { return load_high_halves(p); }
};

/// R rows by P panels (their V vectors from `half` on), sums in registers over all of k.
template <typename Panel, int R, int P, int V>
TOUCHSTONE_INLINE void gemm_block(const GemmTile& t, const typename Panel::Element* b, float* c,
                                  int half) {
  using Element = typename Panel::Element;
  const int64_t stride = t.panel_bytes / static_cast<int64_t>(sizeof(Element));
  Vec16 sums[R][P * V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        sums[r][p * V + v] = t.accumulate ? load(c + r * t.ldc + p * kPanelWidth + (half + v) * 16)
                                          : broadcast(0.0F);
      }
    }
  }
  const float* a = static_cast<const float*>(t.a);
  for (int64_t k = 0; k < t.k; ++k) {
    Vec16 weights[P * V];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const Element* step = b + p * stride;
#pragma GCC unroll 2
      for (int line = 0; line < Panel::kLines; ++line) {
        __builtin_prefetch(reinterpret_cast<const std::byte*>(step) + t.prefetch_bytes + 64 * line);
      }
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        weights[p * V + v] = half + v == 0 ? Panel::left(step) : Panel::right(step);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec16 x = broadcast(a[r]);
#pragma GCC unroll 8
      for (int j = 0; j < P * V; ++j) sums[r][j] = fma(x, weights[j], sums[r][j]);
    }
    a += R;
    b += Panel::kStep;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        Vec16 sum = sums[r][p * V + v];
        if (t.rounding == Rounding::kBFloat16) sum = round_to_bf16(sum);
        store(c + r * t.ldc + p * kPanelWidth + (half + v) * 16, sum);
      }
    }
  }
}

template <typename Panel, int R, int P>
TOUCHSTONE_INLINE void gemm_panels(const GemmTile& t, int panel) {
  const auto* b = reinterpret_cast<const typename Panel::Element*>(
      static_cast<const std::byte*>(t.b) + panel * t.panel_bytes);
  float* c = t.c + static_cast<int64_t>(panel) * kPanelWidth;
  if constexpr (kVectors == 2) {
    gemm_block<Panel, R, P, 2>(t, b, c, 0);
  } else {
    gemm_block<Panel, R, P, 1>(t, b, c, 0);
    gemm_block<Panel, R, P, 1>(t, b, c, 1);
  }
}

template <typename Panel, int R>
void gemm_rows(const GemmTile& t) {
  constexpr int kPanels = panels_at_once(R);
  int panel = 0;
  for (; panel + kPanels <= t.panels; panel += kPanels) gemm_panels<Panel, R, kPanels>(t, panel);
  if constexpr (kPanels > 1) {
    for (; panel < t.panels; ++panel) gemm_panels<Panel, R, 1>(t, panel);
  }
}

template <typename Panel, int R = 1>
void gemm(const GemmTile& t) {
  if (t.rows == R) {
    gemm_rows<Panel, R>(t);
  } else if constexpr (R < kTileRows) {
    gemm<Panel, R + 1>(t);
  }
}

struct FloatCache {
  using Element = float;
  static TOUCHSTONE_INLINE Vec16 get(const float* p) { return load(p); }
};
struct Bf16Cache {
  using Element = uint16_t;
  static TOUCHSTONE_INLINE Vec16 get(const uint16_t* p) { return load_bf16(p); }
};

// Groups of keys scored side by side, so that few rows still give enough independent sums.
constexpr int groups_at_once(int rows) {
  return larger(1, smaller(4, kAccumulators * kVectors / 2 / rows));
}

/// Groups of keys that wait to be scored together.
template <typename Element, int G>
struct KeyGroups {
  const Element* keys[G];
  float* scores[G];  // of the first row
  int count = 0;
};

/// scores[r][0 … 15] = scale * queries · keys, for G groups. `queries`: (head_dim, R).
template <typename Cache, int R, int G, int Capacity>
TOUCHSTONE_INLINE void score_groups(const AttendTile& t, const float* queries,
                                    const KeyGroups<typename Cache::Element, Capacity>& groups,
                                    int first) {
  Vec16 sums[R][G];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) sums[r][g] = broadcast(0.0F);
  }
  for (int32_t d = 0; d < t.head_dim; ++d) {
    Vec16 keys[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) keys[g] = Cache::get(groups.keys[first + g] + d * kKeyGroup);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec16 query = broadcast(queries[d * R + r]);
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) sums[r][g] = fma(query, keys[g], sums[r][g]);
    }
  }
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) {  // in order of positions, see score_all()
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      store(groups.scores[first + g] + r * t.score_stride, mul(sums[r][g], broadcast(t.scale)));
    }
  }
}

template <typename Cache, int R>
TOUCHSTONE_INLINE void score_all(const AttendTile& t, const float* queries) {
  using Element = typename Cache::Element;
  constexpr int kGroups = groups_at_once(R);
  KeyGroups<Element, kGroups> groups;
  const int32_t length = t.lengths[R - 1];
  int32_t block = t.firsts[0] / t.block_size;
  int32_t first_slot = (t.firsts[0] - block * t.block_size) / kKeyGroup * kKeyGroup;
  for (int32_t start = block * t.block_size; start < length; start += t.block_size, ++block) {
    const auto* keys =
        reinterpret_cast<const Element*>(t.keys + t.block_table[block] * t.block_bytes);
    const int32_t end = smaller(t.block_size, length - start);
    // A block's last group may write beyond its positions; the next block's scores, which are
    // stored later, overwrite that.
    for (int32_t slot = first_slot; slot < end; slot += kKeyGroup) {
      groups.keys[groups.count] = keys + slot * t.head_dim;
      groups.scores[groups.count] = t.scores + start + slot;
      if (++groups.count < kGroups) continue;
      score_groups<Cache, R, kGroups>(t, queries, groups, 0);
      groups.count = 0;
    }
    first_slot = 0;
  }
  for (int i = 0; i < groups.count; ++i) score_groups<Cache, R, 1>(t, queries, groups, i);
}

/// Softmax of the scores [first, length) in place; lanes are tied to absolute positions. Returns
/// one over the sum; the weights stay unnormalised.
inline float softmax(float* scores, int32_t first, int32_t length) {
  const int32_t begin = first / 16 * 16;
  const int32_t padded = (length + 15) / 16 * 16;
  for (int32_t i = begin; i < first; ++i) scores[i] = -__builtin_inff();
  for (int32_t i = length; i < padded; ++i) scores[i] = -__builtin_inff();
  Vec16 most = load(scores + begin);
  for (int32_t i = begin + 16; i < padded; i += 16) most = max(most, load(scores + i));
  float lanes[16];
  store(lanes, most);
  float top = lanes[0];
  for (int i = 1; i < 16; ++i) top = lanes[i] > top ? lanes[i] : top;
  Vec16 sum = broadcast(0.0F);
  for (int32_t i = begin; i < padded; i += 16) {
    const Vec16 weight = exp(sub(load(scores + i), broadcast(top)));
    store(scores + i, weight);
    if (i >= first && i + 16 <= length) sum = add(sum, weight);
  }
  // exp() of the padding is tiny, not zero: the lanes at both ends are added one by one.
  store(lanes, sum);
  const int32_t inner = begin < first ? begin + 16 : begin;
  for (int32_t i = first; i < smaller(inner, length); ++i) lanes[i % 16] += scores[i];
  for (int32_t i = larger(inner, length / 16 * 16); i < length; ++i) lanes[i % 16] += scores[i];
  return 1.0F / sum_lanes(load(lanes));
}

/// outputs[r] += weights[r][first, last) · values, R rows by V vectors of head_dim at a time.
template <typename Cache, int R, int V>
TOUCHSTONE_INLINE void weigh_block(const AttendTile& t, const float* const* weights,
                                   float* const* sums_at, int32_t first, int32_t last,
                                   int64_t width) {
  using Element = typename Cache::Element;
  for (int64_t d = 0; d < width; d += V * 16) {
    Vec16 sums[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = load(sums_at[r] + d + v * 16);
    }
    int32_t position = first;
    while (position < last) {
      const int32_t block = position / t.block_size;
      const int32_t slot = position - block * t.block_size;
      const int32_t end = smaller(last, (block + 1) * t.block_size);
      const auto* values =
          reinterpret_cast<const Element*>(t.values + t.block_table[block] * t.block_bytes) +
          slot * width + d;
      for (; position < end; ++position, values += width) {
        Vec16 value[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) value[v] = Cache::get(values + v * 16);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const Vec16 weight = broadcast(weights[r][position]);
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) sums[r][v] = fma(weight, value[v], sums[r][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) store(sums_at[r] + d + v * 16, sums[r][v]);
    }
  }
}

template <typename Cache, int R>
TOUCHSTONE_INLINE void weigh_rows(const AttendTile& t, const float* const* weights,
                                  float* const* sums, int32_t first, int32_t last) {
  const int64_t width = (t.head_dim + 15) / 16 * 16;
  if (width % 64 == 0) {
    weigh_block<Cache, R, kVectors * 2>(t, weights, sums, first, last, width);
  } else if (width % 32 == 0) {
    weigh_block<Cache, R, 2>(t, weights, sums, first, last, width);
  } else {
    weigh_block<Cache, R, 1>(t, weights, sums, first, last, width);
  }
}

template <typename Cache, int R>
void attend_rows(const AttendTile& t) {
  const int32_t width = (t.head_dim + 15) / 16 * 16;
  float* queries = t.packed;
  for (int32_t d = 0; d < t.head_dim; ++d) {
    for (int r = 0; r < R; ++r) queries[d * R + r] = t.queries[r][d];
  }
  score_all<Cache, R>(t, queries);
  float inverse[R];
  const float* weights[R];
  float* sums[R];
  for (int r = 0; r < R; ++r) {
    float* scores = t.scores + r * t.score_stride;
    inverse[r] = softmax(scores, t.firsts[r], t.lengths[r]);
    weights[r] = scores;
    sums[r] = t.packed + static_cast<int64_t>(R + r) * width;
    for (int32_t d = 0; d < width; ++d) sums[r][d] = 0.0F;
  }
  // Each row what earlier rows see too, then what all see, together, then what later rows see too:
  // always in the order of positions. A row must never touch positions that it does not see: not
  // even with weight zero, for they may hold anything.
  const int32_t last_first = t.firsts[R - 1];
  const int32_t common = larger(last_first, t.lengths[0]);
  for (int r = 0; r < R; ++r) {
    const int32_t end = smaller(last_first, t.lengths[r]);
    if (t.firsts[r] < end) weigh_rows<Cache, 1>(t, weights + r, sums + r, t.firsts[r], end);
  }
  if (last_first < common) {
    if constexpr (R <= 4) {
      weigh_rows<Cache, R>(t, weights, sums, last_first, common);
    } else {
      weigh_rows<Cache, 4>(t, weights, sums, last_first, common);
      weigh_rows<Cache, R - 4>(t, weights + 4, sums + 4, last_first, common);
    }
  }
  for (int r = 0; r < R; ++r) {
    if (t.lengths[r] > common) weigh_rows<Cache, 1>(t, weights + r, sums + r, common, t.lengths[r]);
    for (int32_t d = 0; d < t.head_dim; d += 16) {
      const Vec16 out = rounded(mul(load(sums[r] + d), broadcast(inverse[r])), t.rounding);
      store(sums[r] + d, out);
    }
    for (int32_t d = 0; d < t.head_dim; ++d) t.outputs[r][d] = sums[r][d];
  }
}

template <typename Cache, int R = 1>
void attend_dispatch(const AttendTile& t) {
  if (t.rows == R) {
    attend_rows<Cache, R>(t);
  } else if constexpr (R < kAttendRows) {
    attend_dispatch<Cache, R + 1>(t);
  }
}

inline void attend(const AttendTile& t) {
  if (t.storage == Storage::kFloat32) {
    attend_dispatch<FloatCache>(t);
  } else {
    attend_dispatch<Bf16Cache>(t);
  }
}

inline Kernels make_kernels(const char* name) {
  Kernels kernels;
  kernels.name = name;
  kernels.f32 = {kTileRows, 4, transpose, gemm<FloatPanel>};
  kernels.bf16 = {kTileRows, 4, transpose, gemm<Bf16Panel>};
  kernels.pairs = {kPairRows, 4, transpose, gemm_pairs};
  kernels.attend = attend;
  kernels.add_rms_norm = add_rms_norm;
  kernels.add_layer_norm = add_layer_norm;
  kernels.add_bias = add_bias;
  kernels.add_scaled = add_scaled;
  kernels.relu = relu;
  kernels.silu_mul = silu_mul;
  return kernels;
}

}  // namespace touchstone::backend::cpu::TOUCHSTONE_ISA
