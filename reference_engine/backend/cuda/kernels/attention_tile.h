// One warp's 16 query rows against consecutive positions of one KV head: the arithmetic that
// prefill and decode share, so that they yield the same bits. Device code.
//
// A row is a token and one of the query heads that share the KV head. Positions are walked in tiles
// of kAttendTile and in splits of kAttendSplit, both at absolute multiples. A tile that a row does
// not see changes nothing of its state (weights 0, factor 1), so it does not matter which tiles its
// neighbours need.
#pragma once

#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/fragments.h"
#include "reference_engine/backend/cuda/kernels/packs.h"

namespace touchstone::backend::cuda {

constexpr int kTileProducts = kAttendTile / 8;

TOUCHSTONE_DEVICE float minus_infinity() { return float_of(0xFF800000U); }

/// What a row has seen: its largest score and the sum of the weights relative to it, both to the
/// base 2.
struct Seen {
  float top;
  float sum;
};

/// The factors that bring two states to their common top.
struct MergeFactors {
  float top;
  float old_factor;
  float new_factor;
};
TOUCHSTONE_DEVICE MergeFactors merge_factors(float old_top, float new_top) {
  const float top = old_top > new_top ? old_top : new_top;
  const float base = top == minus_infinity() ? 0.0F : top;
  return {top, exp2_fast(old_top - base), exp2_fast(new_top - base)};
}
TOUCHSTONE_DEVICE float merged(float old_value, float new_value, const MergeFactors& factors) {
  return fma_rn(old_value, factors.old_factor, mul_rn(new_value, factors.new_factor));
}

/// Which positions the two rows of a lane see: [first, end).
struct Sight {
  int first[2];
  int end[2];
};

/// The state of a warp's rows within one split. kDim: head_dim up to a size that kernels exist for.
template <typename T, int kDim>
struct SplitState {
  using F = Fragments<T>;
  static constexpr int kStride = kDim + F::kPadding;
  static constexpr int kOutProducts = kDim / 8;

  Product out[kOutProducts];
  Seen seen[2];  // of rows `group` and `group` + 8; sums of this lane's columns alone

  TOUCHSTONE_DEVICE_MEMBER void clear() {
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kOutProducts; ++i) out[i] = {{0.0F, 0.0F, 0.0F, 0.0F}};
    seen[0] = seen[1] = {minus_infinity(), 0.0F};
  }

  /// One tile. `queries`: (16, kStride); `keys`, `values`: (kAttendTile, kStride), zeros where no
  /// row of the block looks. `scale`: of scores, to the base 2.
  TOUCHSTONE_DEVICE_MEMBER void add_tile(const Shared<T>& queries, const Shared<T>& keys,
                                         const Shared<T>& values, int start, const Sight& sight,
                                         float scale) {
    Product scores[kTileProducts];
    score(scores, queries, keys);
    mask(scores, start, sight);
    weigh(scores, scale);
    TOUCHSTONE_UNROLL_BY(F::kUnroll)
    for (int step = 0; step < kAttendTile / F::kK; ++step) {
      const typename F::A weights = F::from_products(scores, step);
      TOUCHSTONE_UNROLL
      for (int i = 0; i < kOutProducts; i += 2) {
        typename F::B b[2];
        F::load_b(b, values, kStride, step * F::kK, 8 * i);
        F::multiply(out[i], weights, b[0]);
        F::multiply(out[i + 1], weights, b[1]);
      }
    }
  }

  /// After the last tile: sums of whole rows.
  TOUCHSTONE_DEVICE_MEMBER void finish() {
    TOUCHSTONE_UNROLL
    for (int row = 0; row < 2; ++row) {
      float sum = seen[row].sum;
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      seen[row].sum = sum;
    }
  }

 private:
  static TOUCHSTONE_DEVICE_MEMBER void score(Product (&scores)[kTileProducts],
                                             const Shared<T>& queries, const Shared<T>& keys) {
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kTileProducts; ++i) scores[i] = {{0.0F, 0.0F, 0.0F, 0.0F}};
    TOUCHSTONE_UNROLL_BY(F::kUnroll)
    for (int k = 0; k < kDim; k += F::kK) {
      const typename F::A a = F::load_a(queries, kStride, k);
      TOUCHSTONE_UNROLL
      for (int i = 0; i < kTileProducts; i += 2) {
        typename F::B b[2];
        F::load_b_transposed(b, keys, kStride, 8 * i, k);
        F::multiply(scores[i], a, b[0]);
        F::multiply(scores[i + 1], a, b[1]);
      }
    }
  }

  static TOUCHSTONE_DEVICE_MEMBER void mask(Product (&scores)[kTileProducts], int start,
                                            const Sight& sight) {
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kTileProducts; ++i) {
      TOUCHSTONE_UNROLL
      for (int j = 0; j < 4; ++j) {
        const int position = start + 8 * i + 2 * fragment_place() + j % 2;
        const bool sees = position >= sight.first[j / 2] && position < sight.end[j / 2];
        if (!sees) scores[i].d[j] = minus_infinity();
      }
    }
  }

  /// Scores to weights relative to the rows' new tops; what was summed before follows.
  TOUCHSTONE_DEVICE_MEMBER void weigh(Product (&scores)[kTileProducts], float scale) {
    TOUCHSTONE_UNROLL
    for (int row = 0; row < 2; ++row) {
      float top = minus_infinity();
      TOUCHSTONE_UNROLL
      for (int i = 0; i < kTileProducts; ++i) {
        top = larger(top, larger(scores[i].d[2 * row], scores[i].d[2 * row + 1]));
      }
      top = larger(top, shuffle_xor(top, 1));
      top = larger(top, shuffle_xor(top, 2));
      const MergeFactors factors = merge_factors(seen[row].top, mul_rn(top, scale));
      const float base = factors.top == minus_infinity() ? 0.0F : factors.top;
      float sum = 0;
      TOUCHSTONE_UNROLL
      for (int i = 0; i < kTileProducts; ++i) {
        TOUCHSTONE_UNROLL
        for (int j = 2 * row; j < 2 * row + 2; ++j) {
          scores[i].d[j] = exp2_fast(fma_rn(scores[i].d[j], scale, -base));
          sum += scores[i].d[j];
        }
      }
      seen[row] = {factors.top, fma_rn(seen[row].sum, factors.old_factor, sum)};
      TOUCHSTONE_UNROLL
      for (int i = 0; i < kOutProducts; ++i) {
        out[i].d[2 * row] = mul_rn(out[i].d[2 * row], factors.old_factor);
        out[i].d[2 * row + 1] = mul_rn(out[i].d[2 * row + 1], factors.old_factor);
      }
    }
  }

  static TOUCHSTONE_DEVICE_MEMBER float larger(float a, float b) { return a > b ? a : b; }
};

/// Starts to copy positions [start, start + kAttendTile) of keys or values to `tile`. Positions
/// outside of [first, end) become zeros: their blocks may be somebody else's.
template <typename T, int kDim>
TOUCHSTONE_DEVICE void copy_tile(const Attend& args, const void* pages, const int32_t* block_table,
                                 int kv_head, int start, int first, int end,
                                 const Shared<T>& tile) {
  constexpr int kPack = Pack<T>::kSize;
  constexpr int kPacks = kDim / kPack;
  constexpr int kRun = 16;  // positions of one block: its size is a multiple of it
  const int width = cached_head_dim(args.head_dim);
  TOUCHSTONE_UNROLL
  for (int run = 0; run < kAttendTile; run += kRun) {
    const int run_start = start + run;
    const bool any = run_start < end && run_start + kRun > first;
    const T* from = static_cast<const T*>(pages);
    if (any) {
      const int block = run_start / args.pages.block_size;
      const int slot = run_start - block * args.pages.block_size;
      from += load(block_table + block) * args.pages.block_stride +
              (kv_head * int64_t{args.pages.block_size} + slot) * width;
    }
    for (int i = thread_index(); i < kRun * kPacks; i += block_threads()) {
      const int row = i / kPacks;
      const int column = i % kPacks * kPack;
      const int position = run_start + row;
      const bool valid = position >= first && position < end && column < width;
      copy_async(tile, (run + row) * SplitState<T, kDim>::kStride + column,
                 valid ? from + row * width + column : static_cast<const T*>(pages), valid);
    }
  }
}

/// The two buffers of keys and values, filled one tile ahead.
template <typename T, int kDim>
struct TilePipeline {
  static constexpr int kElements = kAttendTile * SplitState<T, kDim>::kStride;
  static constexpr int kBytes = 4 * kElements * static_cast<int>(sizeof(T));

  const Attend& args;
  const int32_t* block_table;
  int kv_head;
  int first;  // positions that the block looks at: [first, end)
  int end;
  Shared<T> buffers;  // (2, keys | values, kElements)

  TOUCHSTONE_DEVICE_MEMBER Shared<T> keys(int start) const {
    return buffers.part(start / kAttendTile % 2 * 2 * kElements, kElements);
  }
  TOUCHSTONE_DEVICE_MEMBER Shared<T> values(int start) const {
    return buffers.part((start / kAttendTile % 2 * 2 + 1) * kElements, kElements);
  }
  TOUCHSTONE_DEVICE_MEMBER void start_copy(int start) const {
    if (start < end) {
      copy_tile<T, kDim>(args, args.pages.keys, block_table, kv_head, start, first, end,
                         keys(start));
      copy_tile<T, kDim>(args, args.pages.values, block_table, kv_head, start, first, end,
                         values(start));
    }
    copy_async_commit();
  }
  /// Makes the tile at `start` readable and starts to copy the next one, over the one before:
  /// behind the barrier nobody reads that any more.
  TOUCHSTONE_DEVICE_MEMBER void advance(int start) const {
    copy_async_wait<0>();
    sync_block();
    start_copy(start + kAttendTile);
  }
};

/// Rows [first_row, first_row + kRows) of a sequence's (token, head) pairs to `tile`, zeros behind
/// the last of them and behind head_dim.
template <typename T, int kDim, int kRows>
TOUCHSTONE_DEVICE void load_queries(const Attend& args, int64_t sequence_row, int kv_head,
                                    int first_row, int num_rows, const Shared<T>& tile) {
  const int group = args.num_heads / args.num_kv_heads;
  constexpr int kPack = Pack<T>::kSize;
  constexpr int kPacks = kDim / kPack;
  const bool aligned = args.head_dim % kPack == 0 && args.query_stride % kPack == 0;
  for (int i = thread_index(); i < kRows * kPacks; i += block_threads()) {
    const int row = first_row + i / kPacks;
    const int column = i % kPacks * kPack;
    Pack<T> pack = {};
    if (row < num_rows && column < args.head_dim) {
      const int head = kv_head * group + row % group;
      const T* at = static_cast<const T*>(args.queries) +
                    (sequence_row + row / group) * args.query_stride +
                    int64_t{head} * args.head_dim;
      pack = load_some(at, column, args.head_dim, aligned);
    }
    store_pack(tile, i / kPacks * SplitState<T, kDim>::kStride + column, pack);
  }
}

/// Tiles of a split that positions [first, end) touch: from begin to end in steps of kAttendTile.
struct TileRange {
  int begin;
  int end;
};
TOUCHSTONE_DEVICE TileRange tiles_of(int split_start, int first, int end) {
  const int first_tile = first / kAttendTile * kAttendTile;
  const int split_end = split_start + kAttendSplit;
  return {first_tile > split_start ? first_tile : split_start, end < split_end ? end : split_end};
}

/// The first position that a query at `position` sees.
TOUCHSTONE_DEVICE int first_seen(const Attend& args, int position) {
  const int first = position - args.window + 1;
  return args.window > 0 && first > 0 ? first : 0;
}

/// What this lane's rows see; nothing where there is no row.
TOUCHSTONE_DEVICE Sight sight_of(const Attend& args, int warp_row, int num_rows,
                                 int first_position) {
  Sight sight = {};
  const int group = args.num_heads / args.num_kv_heads;
  TOUCHSTONE_UNROLL
  for (int i = 0; i < 2; ++i) {
    const int row = warp_row + fragment_group() + 8 * i;
    if (row >= num_rows) continue;
    const int position = first_position + row / group;
    sight.first[i] = first_seen(args, position);
    sight.end[i] = position + 1;
  }
  return sight;
}

/// The size that kernels exist for, as a type, for a head_dim.
template <int kDim>
struct HeadDim {
  static constexpr int kValue = kDim;
};
template <typename F>
void with_head_dim(int32_t head_dim, const F& f) {
  if (head_dim <= 16) return f(HeadDim<16>{});
  if (head_dim <= 32) return f(HeadDim<32>{});
  if (head_dim <= 64) return f(HeadDim<64>{});
  if (head_dim <= 96) return f(HeadDim<96>{});
  return f(HeadDim<kMaxHeadDim>{});
}

/// Scores become exponents to the base 2.
inline float score_scale(float scale) { return scale * 1.44269504F; }

}  // namespace touchstone::backend::cuda
