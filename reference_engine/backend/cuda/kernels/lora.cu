// Adapters: rows of one call may have different ones, or none.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/device.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"
#include "reference_engine/backend/cuda/kernels/reduce.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kShrinkThreads = 128;  // part of the order of the sums over k
constexpr int kExpandThreads = 128;

/// inner[row][rank] = A[adapter][rank] · in[row], a block each.
template <typename T>
TOUCHSTONE_KERNEL shrink_kernel(const ApplyLora args, float* inner) {
  TOUCHSTONE_SHARED(float, scratch, kShrinkThreads / 32);
  const int64_t row = block_index().x;
  const int64_t rank = block_index().y;
  const int64_t adapter = load(args.adapters + row);
  if (adapter < 0) return;
  const T* in = static_cast<const T*>(args.in) + row * args.in_stride;
  const T* a = static_cast<const T*>(args.a) + (adapter * args.max_rank + rank) * args.k;
  float sum = 0;
  for (int64_t i = thread_index(); i < args.k; i += kShrinkThreads) {
    sum = fma_rn(to_float(load(in + i)), to_float(load(a + i)), sum);
  }
  sum = reduce_block<Plus>(sum, scratch);
  if (thread_index() == 0) store(inner + row * args.max_rank + rank, sum);
}

/// out[row][column] += scale * B[adapter][column] · inner[row], a thread each, in order of ranks.
template <typename T>
TOUCHSTONE_KERNEL expand_kernel(const ApplyLora args, const float* inner) {
  const int64_t row = block_index().x;
  const int64_t column = int64_t{block_index().y} * kExpandThreads + thread_index();
  const int64_t adapter = load(args.adapters + row);
  if (adapter < 0 || column >= args.columns) return;
  const T* b = static_cast<const T*>(args.b) + (adapter * args.columns + column) * args.max_rank;
  float sum = 0;
  for (int rank = 0; rank < args.max_rank; ++rank) {
    sum = fma_rn(to_float(load(b + rank)), load(inner + row * args.max_rank + rank), sum);
  }
  T* out = static_cast<T*>(args.out) + row * args.out_stride + column;
  store(out, from_float<T>(fma_rn(load(args.scales + adapter), sum, to_float(load(out)))));
}

}  // namespace

void apply_lora(const ApplyLora& args, float* workspace, Stream stream) {
  if (args.rows == 0) return;
  const int rows = static_cast<int>(args.rows);
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    launch("lora_shrink", shrink_kernel<T>, {rows, args.max_rank, 1}, kShrinkThreads, 0, stream,
           args, workspace);
    launch("lora_expand", expand_kernel<T>, {rows, ceil_div(args.columns, kExpandThreads), 1},
           kExpandThreads, 0, stream, args, workspace);
  });
}

}  // namespace touchstone::backend::cuda
