// Attention of many rows: a block has 64 (token, head) rows of one sequence and KV head, a warp 16
// of them, and walks all positions that they see.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/attention_tile.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kRows = 16 * kWarps;

/// What the splits so far have given.
template <typename T, int kDim>
struct Totals {
  using Split = SplitState<T, kDim>;
  Product out[Split::kOutProducts];
  Seen seen[2];

  TOUCHSTONE_DEVICE_MEMBER void clear() {
    TOUCHSTONE_UNROLL
    for (int i = 0; i < Split::kOutProducts; ++i) out[i] = {{0.0F, 0.0F, 0.0F, 0.0F}};
    seen[0] = seen[1] = {minus_infinity(), 0.0F};
  }
  TOUCHSTONE_DEVICE_MEMBER void add(const Split& split) {
    TOUCHSTONE_UNROLL
    for (int row = 0; row < 2; ++row) {
      const MergeFactors factors = merge_factors(seen[row].top, split.seen[row].top);
      seen[row] = {factors.top, merged(seen[row].sum, split.seen[row].sum, factors)};
      TOUCHSTONE_UNROLL
      for (int i = 0; i < Split::kOutProducts; ++i) {
        TOUCHSTONE_UNROLL
        for (int j = 2 * row; j < 2 * row + 2; ++j) {
          out[i].d[j] = merged(out[i].d[j], split.out[i].d[j], factors);
        }
      }
    }
  }
};

template <typename T, int kDim>
TOUCHSTONE_DEVICE void store_rows(const Attend& args, const Totals<T, kDim>& totals,
                                  int64_t sequence_row, int kv_head, int warp_row, int num_rows) {
  const int group = args.num_heads / args.num_kv_heads;
  TOUCHSTONE_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int row = warp_row + fragment_group() + 8 * half;
    if (row >= num_rows) continue;
    const float inverse = totals.seen[half].sum > 0 ? 1.0F / totals.seen[half].sum : 0.0F;
    T* out = static_cast<T*>(args.out) + (sequence_row + row / group) * args.out_stride +
             int64_t{kv_head * group + row % group} * args.head_dim;
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kDim / 8; ++i) {
      TOUCHSTONE_UNROLL
      for (int j = 0; j < 2; ++j) {
        const int column = 8 * i + 2 * fragment_place() + j;
        if (column < args.head_dim) {
          store(out + column, from_float<T>(mul_rn(totals.out[i].d[2 * half + j], inverse)));
        }
      }
    }
  }
}

template <typename T, int kDim>
TOUCHSTONE_KERNEL TOUCHSTONE_BOUNDS(32 * kWarps, 2) prefill_kernel(const Attend args, float scale) {
  using Split = SplitState<T, kDim>;
  using Pipeline = TilePipeline<T, kDim>;
  const int sequence = block_index().z;
  const int kv_head = block_index().y;
  const int group = args.num_heads / args.num_kv_heads;
  const int64_t sequence_row = load(args.row_starts + sequence);
  const int tokens = static_cast<int>(load(args.row_starts + sequence + 1) - sequence_row);
  const int num_rows = tokens * group;
  // Later rows see more and take longer: they come first.
  const int first_row = (grid_size().x - 1 - block_index().x) * kRows;
  if (first_row >= num_rows) return;
  const int last_row = (first_row + kRows < num_rows ? first_row + kRows : num_rows) - 1;
  const int first_position = load(args.lengths + sequence) - tokens;
  const int first = first_seen(args, first_position + first_row / group);
  const int end = first_position + last_row / group + 1;

  const Shared<T> queries = dynamic_shared<T>(0, kRows * Split::kStride);
  const Pipeline pipeline = {args,
                             args.block_tables + sequence * args.table_stride,
                             kv_head,
                             first,
                             end,
                             dynamic_shared<T>(kRows * Split::kStride * static_cast<int>(sizeof(T)),
                                               4 * Pipeline::kElements)};
  pipeline.start_copy(first / kAttendTile * kAttendTile);
  load_queries<T, kDim, kRows>(args, sequence_row, kv_head, first_row, num_rows, queries);
  const int warp_row = first_row + 16 * warp();
  const Shared<T> warp_queries = queries.part(16 * warp() * Split::kStride, 16 * Split::kStride);
  const Sight sight = sight_of(args, warp_row, num_rows, first_position);
  const int warp_first = first_seen(args, first_position + warp_row / group);
  const int warp_end = warp_row < num_rows ? first_position + (warp_row + 15) / group + 1 : 0;

  Totals<T, kDim> totals;
  totals.clear();
  for (int split = first / kAttendSplit * kAttendSplit; split < end; split += kAttendSplit) {
    Split state;
    state.clear();
    const TileRange range = tiles_of(split, first, end);
    for (int start = range.begin; start < range.end; start += kAttendTile) {
      pipeline.advance(start);
      if (start >= warp_end || start + kAttendTile <= warp_first) continue;
      state.add_tile(warp_queries, pipeline.keys(start), pipeline.values(start), start, sight,
                     scale);
    }
    state.finish();
    totals.add(state);
  }
  copy_async_wait<0>();
  store_rows<T, kDim>(args, totals, sequence_row, kv_head, warp_row, num_rows);
}

}  // namespace

void attend_prefill(const Attend& args, Stream stream) {
  if (args.num_sequences == 0 || args.max_rows == 0) return;
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    with_head_dim(args.head_dim, [&](auto dim) {
      constexpr int kDim = decltype(dim)::kValue;
      constexpr int kBytes = kRows * SplitState<T, kDim>::kStride * static_cast<int>(sizeof(T)) +
                             TilePipeline<T, kDim>::kBytes;
      const int64_t rows = int64_t{args.max_rows} * (args.num_heads / args.num_kv_heads);
      launch("attend_prefill", prefill_kernel<T, kDim>,
             {ceil_div(rows, kRows), args.num_kv_heads, args.num_sequences}, 32 * kWarps, kBytes,
             stream, args, score_scale(args.scale));
    });
  });
}

}  // namespace touchstone::backend::cuda
