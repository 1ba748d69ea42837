// Norms and rotations of queries and keys, and keys and values into their pages: a warp a head.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/device.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"
#include "reference_engine/backend/cuda/kernels/reduce.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kWarps = 4;
/// Pairs (i, i + head_dim / 2) of one lane.
constexpr int kPairs = kMaxHeadDim / 2 / 32;

struct HeadPairs {
  float left[kPairs];
  float right[kPairs];
};

/// The place of a pair within its head; false when the lane has none.
TOUCHSTONE_DEVICE bool pair_at(int pair, int half, int& i) {
  i = pair * 32 + lane();
  return i < half;
}

template <typename T>
TOUCHSTONE_DEVICE HeadPairs load_head(const T* head, int half) {
  HeadPairs pairs = {};
  TOUCHSTONE_UNROLL
  for (int p = 0; p < kPairs; ++p) {
    int i = 0;
    if (!pair_at(p, half, i)) continue;
    pairs.left[p] = to_float(load(head + i));
    pairs.right[p] = to_float(load(head + half + i));
  }
  return pairs;
}

template <typename T>
TOUCHSTONE_DEVICE void store_head(const HeadPairs& pairs, int half, T* head) {
  TOUCHSTONE_UNROLL
  for (int p = 0; p < kPairs; ++p) {
    int i = 0;
    if (!pair_at(p, half, i)) continue;
    store(head + i, from_float<T>(pairs.left[p]));
    store(head + half + i, from_float<T>(pairs.right[p]));
  }
}

template <typename T>
TOUCHSTONE_DEVICE void norm_head(HeadPairs& pairs, int half, const T* weight, float eps) {
  float sum = 0;
  TOUCHSTONE_UNROLL
  for (int p = 0; p < kPairs; ++p) {
    sum = fma_rn(pairs.left[p], pairs.left[p], sum);
    sum = fma_rn(pairs.right[p], pairs.right[p], sum);
  }
  const float mean = reduce_warp<Plus>(sum) / static_cast<float>(2 * half);
  const float scale = 1.0F / sqrt_rn(mean + eps);
  TOUCHSTONE_UNROLL
  for (int p = 0; p < kPairs; ++p) {
    int i = 0;
    if (!pair_at(p, half, i)) continue;
    const float left = pairs.left[p] * scale * to_float(load(weight + i));
    const float right = pairs.right[p] * scale * to_float(load(weight + half + i));
    pairs.left[p] = to_float(from_float<T>(left));
    pairs.right[p] = to_float(from_float<T>(right));
  }
}

TOUCHSTONE_DEVICE void rotate_head(HeadPairs& pairs, int half, const float* cosines,
                                   const float* sines) {
  TOUCHSTONE_UNROLL
  for (int p = 0; p < kPairs; ++p) {
    int i = 0;
    if (!pair_at(p, half, i)) continue;
    const float cosine = load(cosines + i);
    const float sine = load(sines + i);
    const float left = pairs.left[p];
    const float right = pairs.right[p];
    pairs.left[p] = add_rn(mul_rn(left, cosine), -mul_rn(right, sine));
    pairs.right[p] = add_rn(mul_rn(right, cosine), mul_rn(left, sine));
  }
}

/// Element 0 of a head's key or value in the pages.
TOUCHSTONE_DEVICE int64_t cached_at(const KvPages& pages, int64_t slot, int head, int head_dim) {
  const int64_t block = slot / pages.block_size;
  const int64_t within = slot - block * pages.block_size;
  return block * pages.block_stride +
         (head * int64_t{pages.block_size} + within) * cached_head_dim(head_dim);
}

template <typename T>
TOUCHSTONE_DEVICE void cache_head(const StoreHeads& args, const HeadPairs& pairs, int64_t row,
                                  int head, void* pages) {
  const int64_t slot = load(args.slots + row);
  if (slot < 0) return;
  T* to = static_cast<T*>(pages) + cached_at(args.pages, slot, head, args.head_dim);
  store_head(pairs, args.head_dim / 2, to);
  const int behind = args.head_dim + lane();  // fewer than 16
  if (behind < cached_head_dim(args.head_dim)) store(to + behind, from_float<T>(0.0F));
}

template <typename T>
TOUCHSTONE_KERNEL store_heads_kernel(const StoreHeads args) {
  const int64_t row = block_index().x;
  int head = block_index().y * kWarps + warp();
  if (head >= args.num_heads + 2 * args.num_kv_heads) return;
  const int half = args.head_dim / 2;
  T* columns = static_cast<T*>(args.qkv) + row * args.stride;
  const bool is_query = head < args.num_heads;
  if (!is_query) head -= args.num_heads;
  const bool is_value = !is_query && head >= args.num_kv_heads;
  if (is_value) head -= args.num_kv_heads;
  const int64_t first = is_query ? 0 : is_value ? args.v_column : args.k_column;
  T* at = columns + first + int64_t{head} * args.head_dim;
  HeadPairs pairs = load_head(at, half);
  if (is_value) {
    cache_head<T>(args, pairs, row, head, args.pages.values);
    return;
  }
  const void* weight = is_query ? args.q_norm : args.k_norm;
  if (weight != nullptr) norm_head(pairs, half, static_cast<const T*>(weight), args.eps);
  if (args.cosines != nullptr) {
    const int64_t angles = int64_t{load(args.positions + row)} * half;
    rotate_head(pairs, half, args.cosines + angles, args.sines + angles);
  }
  if (is_query) {
    store_head(pairs, half, at);
  } else {
    cache_head<T>(args, pairs, row, head, args.pages.keys);
  }
}

}  // namespace

void store_heads(const StoreHeads& args, Stream stream) {
  if (args.rows == 0) return;
  const int heads = args.num_heads + 2 * args.num_kv_heads;
  with_element(args.element, [&](auto zero) {
    launch("store_heads", store_heads_kernel<decltype(zero)>,
           {static_cast<int>(args.rows), ceil_div(heads, kWarps), 1}, 32 * kWarps, 0, stream, args);
  });
}

}  // namespace touchstone::backend::cuda
