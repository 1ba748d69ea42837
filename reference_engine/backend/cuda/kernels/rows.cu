// Kernels that treat each row alone: embedding, norms, biases, activations, gathers.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/device.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"
#include "reference_engine/backend/cuda/kernels/packs.h"
#include "reference_engine/backend/cuda/kernels/reduce.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kNormThreads = 256;  // part of the order of a norm's sums

/// A block a row, or a part of one of `kThreads` packs.
template <typename T>
Grid parts_of_rows(int64_t rows, int64_t width) {
  return {static_cast<int>(rows), ceil_div(width, int64_t{kThreads} * Pack<T>::kSize), 1};
}

template <typename T>
TOUCHSTONE_DEVICE int64_t first_of_part() {
  return (int64_t{block_index().y} * kThreads + thread_index()) * Pack<T>::kSize;
}

template <typename T>
TOUCHSTONE_KERNEL embed_kernel(const Embed args, bool packed) {
  const int64_t row = block_index().x;
  const int64_t first = first_of_part<T>();
  if (first >= args.width) return;
  int32_t token = load(args.tokens + row);
  if (token < 0) token = load(args.latest + (-1 - token));
  const T* table = static_cast<const T*>(args.table) + token * args.width;
  Pack<T> pack = load_some(table, first, args.width, packed);
  if (args.position_table != nullptr) {
    const int64_t position = load(args.positions + row) + int64_t{args.position_offset};
    const T* positions = static_cast<const T*>(args.position_table) + position * args.width;
    const Pack<T> added = load_some(positions, first, args.width, packed);
    TOUCHSTONE_UNROLL
    for (int i = 0; i < Pack<T>::kSize; ++i) {
      pack.values[i] = from_float<T>(to_float(pack.values[i]) + to_float(added.values[i]));
    }
  }
  store_some(static_cast<T*>(args.out) + row * args.out_stride, first, args.width, packed, pack);
}

/// The sums of `residual` and `added`, stored rounded, and kept as they are in `sums`: each thread
/// keeps those that it looks at again.
template <typename T>
TOUCHSTONE_DEVICE void add_residual(const AddNorm& args, bool packed, int64_t row,
                                    const Shared<float>& sums) {
  constexpr int kSize = Pack<T>::kSize;
  T* residual = static_cast<T*>(args.residual) + row * args.stride;
  const T* added = static_cast<const T*>(args.added) + row * args.stride;
  for (int64_t first = thread_index() * kSize; first < args.width; first += kNormThreads * kSize) {
    Pack<T> pack = load_some(residual, first, args.width, packed);
    Pack<T> other = {};
    if (args.added != nullptr) other = load_some(added, first, args.width, packed);
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kSize; ++i) {
      float sum = to_float(pack.values[i]);
      if (args.added != nullptr) sum += to_float(other.values[i]);
      if (first + i < args.width) sums[static_cast<int>(first) + i] = sum;
      pack.values[i] = from_float<T>(sum);
    }
    if (args.added != nullptr) store_some(residual, first, args.width, packed, pack);
  }
}

/// The sum of f over the row: within a thread in order of columns, then as reduce_block() has it.
template <typename T, typename F>
TOUCHSTONE_DEVICE float sum_row(const Shared<float>& row, int64_t width,
                                const Shared<float>& scratch, const F& f) {
  constexpr int kSize = Pack<T>::kSize;
  float sum = 0;
  for (int64_t first = thread_index() * kSize; first < width; first += kNormThreads * kSize) {
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kSize; ++i) {
      if (first + i < width) sum = f(row[static_cast<int>(first) + i], sum);
    }
  }
  return reduce_block<Plus>(sum, scratch);
}

template <typename T>
TOUCHSTONE_KERNEL add_norm_kernel(const AddNorm args, bool packed) {
  constexpr int kSize = Pack<T>::kSize;
  TOUCHSTONE_SHARED(float, scratch, kNormThreads / 32);
  const Shared<float> sums = dynamic_shared<float>(0, static_cast<int>(args.width));
  const int64_t row = block_index().x;
  add_residual<T>(args, packed, row, sums);
  const float count = static_cast<float>(args.width);
  float mean = 0;
  if (args.norm == Norm::kLayer) {
    mean =
        sum_row<T>(sums, args.width, scratch, [](float x, float sum) { return sum + x; }) / count;
  }
  const auto square = [mean](float x, float sum) { return fma_rn(x - mean, x - mean, sum); };
  const float variance = sum_row<T>(sums, args.width, scratch, square) / count;
  const float scale = 1.0F / sqrt_rn(variance + args.eps);
  T* out = static_cast<T*>(args.out) + row * args.stride;
  for (int64_t first = thread_index() * kSize; first < args.width; first += kNormThreads * kSize) {
    const Pack<T> weight = load_some(static_cast<const T*>(args.weight), first, args.width, packed);
    Pack<T> bias = {};
    if (args.bias != nullptr) {
      bias = load_some(static_cast<const T*>(args.bias), first, args.width, packed);
    }
    Pack<T> pack = {};
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kSize; ++i) {
      if (first + i >= args.width) break;
      const float x = sums[static_cast<int>(first) + i];
      const float normed = (x - mean) * scale;
      pack.values[i] =
          from_float<T>(fma_rn(normed, to_float(weight.values[i]), to_float(bias.values[i])));
    }
    store_some(out, first, args.width, packed, pack);
  }
}

template <typename T>
TOUCHSTONE_KERNEL add_bias_kernel(const AddBias args, bool packed) {
  const int64_t row = block_index().x;
  const int64_t first = first_of_part<T>();
  if (first >= args.columns) return;
  const Pack<T> bias = load_some(static_cast<const T*>(args.bias), first, args.columns, packed);
  Pack<T> pack = {};
  TOUCHSTONE_UNROLL
  for (int i = 0; i < Pack<T>::kSize; ++i) {
    if (first + i >= args.columns) break;
    const float in = load(args.in + row * args.in_stride + first + i);
    pack.values[i] = from_float<T>(in + to_float(bias.values[i]));
  }
  store_some(static_cast<T*>(args.out) + row * args.out_stride, first, args.columns, packed, pack);
}

TOUCHSTONE_DEVICE float activated(float x, Activation activation) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kInverseSqrt2 = 0.70710678F;
  constexpr float kSqrt2OverPi = 0.79788456F;
  switch (activation) {
    case Activation::kSilu:
      return x / (1.0F + exp2_fast(-x * kLog2E));
    case Activation::kRelu:
      return x > 0.0F ? x : 0.0F;
    case Activation::kGelu:
      return 0.5F * x * (1.0F + erf_of(x * kInverseSqrt2));
    case Activation::kGeluTanh:
      return 0.5F * x * (1.0F + tanh_of(kSqrt2OverPi * (x + 0.044715F * x * x * x)));
  }
  return x;
}

template <typename T>
TOUCHSTONE_KERNEL activate_kernel(const Activate args, bool packed) {
  const int64_t row = block_index().x;
  const int64_t first = first_of_part<T>();
  if (first >= args.width) return;
  const T* gate = static_cast<const T*>(args.gate) + row * args.in_stride;
  Pack<T> pack = load_some(gate, first, args.width, packed);
  TOUCHSTONE_UNROLL
  for (int i = 0; i < Pack<T>::kSize; ++i) {
    pack.values[i] = from_float<T>(activated(to_float(pack.values[i]), args.activation));
  }
  if (args.up != nullptr) {
    const T* up = static_cast<const T*>(args.up) + row * args.in_stride;
    const Pack<T> factor = load_some(up, first, args.width, packed);
    TOUCHSTONE_UNROLL
    for (int i = 0; i < Pack<T>::kSize; ++i) {
      pack.values[i] = from_float<T>(to_float(pack.values[i]) * to_float(factor.values[i]));
    }
  }
  store_some(static_cast<T*>(args.out) + row * args.out_stride, first, args.width, packed, pack);
}

template <typename T>
TOUCHSTONE_KERNEL gather_kernel(const GatherRows args, bool packed) {
  const int64_t row = block_index().x;
  const int64_t first = first_of_part<T>();
  if (first >= args.width) return;
  const T* in = static_cast<const T*>(args.in) + load(args.indices + row) * args.in_stride;
  store_some(static_cast<T*>(args.out) + row * args.out_stride, first, args.width, packed,
             load_some(in, first, args.width, packed));
}

}  // namespace

void embed(const Embed& args, Stream stream) {
  if (args.rows == 0) return;
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    launch("embed", embed_kernel<T>, parts_of_rows<T>(args.rows, args.width), kThreads, 0, stream,
           args, in_packs<T>(args.width, args.out_stride));
  });
}

void add_norm(const AddNorm& args, Stream stream) {
  if (args.rows == 0) return;
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    launch("add_norm", add_norm_kernel<T>, {static_cast<int>(args.rows), 1, 1}, kNormThreads,
           args.width * static_cast<int64_t>(sizeof(float)), stream, args,
           in_packs<T>(args.width, args.stride));
  });
}

void add_bias(const AddBias& args, Stream stream) {
  if (args.rows == 0) return;
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    launch("add_bias", add_bias_kernel<T>, parts_of_rows<T>(args.rows, args.columns), kThreads, 0,
           stream, args, in_packs<T>(args.columns, args.out_stride));
  });
}

void activate(const Activate& args, Stream stream) {
  if (args.rows == 0) return;
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    launch("activate", activate_kernel<T>, parts_of_rows<T>(args.rows, args.width), kThreads, 0,
           stream, args, in_packs<T>(args.width, args.in_stride, args.out_stride));
  });
}

void gather_rows(const GatherRows& args, Stream stream) {
  if (args.rows == 0) return;
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    launch("gather_rows", gather_kernel<T>, parts_of_rows<T>(args.rows, args.width), kThreads, 0,
           stream, args, in_packs<T>(args.width, args.in_stride, args.out_stride));
  });
}

}  // namespace touchstone::backend::cuda
