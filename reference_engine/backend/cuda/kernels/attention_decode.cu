// Attention of one row a sequence: a block, of one warp, has the query heads of one KV head and one
// split of the positions; a second kernel merges the splits in order.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/attention_tile.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kRows = 16;
constexpr int kCombineThreads = kMaxHeadDim;

/// What the splits leave for the second kernel.
struct Partials {
  float* out;  // (sequences, heads, splits, width), unnormalised
  Seen* seen;  // (sequences, heads, splits)
  int splits;  // of the longest sequence
  int width;
};

int num_splits(int32_t max_length) { return ceil_div(max_length, kAttendSplit); }

TOUCHSTONE_DEVICE int64_t partial_at(const Attend& args, const Partials& partials, int sequence,
                                     int head, int split) {
  return (int64_t{sequence} * args.num_heads + head) * partials.splits + split;
}

template <typename T, int kDim>
TOUCHSTONE_DEVICE void store_split(const Attend& args, const Partials& partials,
                                   const SplitState<T, kDim>& state, int sequence, int kv_head,
                                   int first_row, int split) {
  const int group = args.num_heads / args.num_kv_heads;
  TOUCHSTONE_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int row = first_row + fragment_group() + 8 * half;
    if (row >= group) continue;
    const int64_t at = partial_at(args, partials, sequence, kv_head * group + row, split);
    if (fragment_place() == 0) {
      store(&partials.seen[at].top, state.seen[half].top);
      store(&partials.seen[at].sum, state.seen[half].sum);
    }
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kDim / 8; ++i) {
      TOUCHSTONE_UNROLL
      for (int j = 0; j < 2; ++j) {
        const int column = 8 * i + 2 * fragment_place() + j;
        if (column < partials.width) {
          store(partials.out + at * partials.width + column, state.out[i].d[2 * half + j]);
        }
      }
    }
  }
}

template <typename T, int kDim>
TOUCHSTONE_KERNEL TOUCHSTONE_BOUNDS(32, 8)
    decode_kernel(const Attend args, const Partials partials, float scale) {
  using Split = SplitState<T, kDim>;
  using Pipeline = TilePipeline<T, kDim>;
  const int sequence = block_index().z;
  const int group = args.num_heads / args.num_kv_heads;
  const int row_tiles = (group + kRows - 1) / kRows;
  const int kv_head = block_index().y / row_tiles;
  const int first_row = block_index().y % row_tiles * kRows;
  const int split = block_index().x;
  const int end = load(args.lengths + sequence);
  const int first = first_seen(args, end - 1);
  const TileRange range = tiles_of(split * kAttendSplit, first, end);
  if (range.begin >= range.end) return;

  const Shared<T> queries = dynamic_shared<T>(0, kRows * Split::kStride);
  const Pipeline pipeline = {args,
                             args.block_tables + sequence * args.table_stride,
                             kv_head,
                             first,
                             range.end,
                             dynamic_shared<T>(kRows * Split::kStride * static_cast<int>(sizeof(T)),
                                               4 * Pipeline::kElements)};
  pipeline.start_copy(range.begin);
  load_queries<T, kDim, kRows>(args, load(args.row_starts + sequence), kv_head, first_row, group,
                               queries);
  const Sight sight = sight_of(args, first_row, group, end - 1);
  Split state;
  state.clear();
  for (int start = range.begin; start < range.end; start += kAttendTile) {
    pipeline.advance(start);
    state.add_tile(queries, pipeline.keys(start), pipeline.values(start), start, sight, scale);
  }
  copy_async_wait<0>();
  state.finish();
  store_split<T, kDim>(args, partials, state, sequence, kv_head, first_row, split);
}

template <typename T>
TOUCHSTONE_KERNEL combine_kernel(const Attend args, const Partials partials) {
  const int sequence = block_index().y;
  const int head = block_index().x;
  const int column = thread_index();
  if (column >= args.head_dim) return;
  const int end = load(args.lengths + sequence);
  const int first = first_seen(args, end - 1);
  Seen total = {minus_infinity(), 0.0F};
  float out = 0;
  for (int split = first / kAttendSplit; split * kAttendSplit < end; ++split) {
    const int64_t at = partial_at(args, partials, sequence, head, split);
    const MergeFactors factors = merge_factors(total.top, load(&partials.seen[at].top));
    total = {factors.top, merged(total.sum, load(&partials.seen[at].sum), factors)};
    out = merged(out, load(partials.out + at * partials.width + column), factors);
  }
  const float inverse = total.sum > 0 ? 1.0F / total.sum : 0.0F;
  const int64_t row = load(args.row_starts + sequence);
  store(static_cast<T*>(args.out) + row * args.out_stride + int64_t{head} * args.head_dim + column,
        from_float<T>(mul_rn(out, inverse)));
}

int64_t num_partials(int32_t num_sequences, int32_t num_heads, int32_t max_length) {
  return int64_t{num_sequences} * num_heads * num_splits(max_length);
}

}  // namespace

int64_t attend_workspace_bytes(int32_t num_sequences, int32_t num_heads, int32_t head_dim,
                               int32_t max_length) {
  const int64_t of_one = cached_head_dim(head_dim) * static_cast<int64_t>(sizeof(float)) +
                         static_cast<int64_t>(sizeof(Seen));
  return num_partials(num_sequences, num_heads, max_length) * of_one;
}

void attend_decode(const Attend& args, void* workspace, Stream stream) {
  if (args.num_sequences == 0 || args.max_length == 0) return;
  Partials partials = {static_cast<float*>(workspace), nullptr, num_splits(args.max_length),
                       cached_head_dim(args.head_dim)};
  partials.seen = reinterpret_cast<Seen*>(
      partials.out +
      num_partials(args.num_sequences, args.num_heads, args.max_length) * partials.width);
  const int row_tiles = ceil_div(args.num_heads / args.num_kv_heads, kRows);
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    with_head_dim(args.head_dim, [&](auto dim) {
      constexpr int kDim = decltype(dim)::kValue;
      constexpr int kBytes = kRows * SplitState<T, kDim>::kStride * static_cast<int>(sizeof(T)) +
                             TilePipeline<T, kDim>::kBytes;
      launch("attend_decode", decode_kernel<T, kDim>,
             {partials.splits, args.num_kv_heads * row_tiles, args.num_sequences}, 32, kBytes,
             stream, args, partials, score_scale(args.scale));
    });
    launch("attend_combine", combine_kernel<T>, {args.num_heads, args.num_sequences, 1},
           kCombineThreads, 0, stream, args, partials);
  });
}

}  // namespace touchstone::backend::cuda
