// Few rows: reading the weights is all the work. A block has 16 features and all of K; each of its
// warps takes slices of K, straight from global memory, and the slices are added in order.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"
#include "reference_engine/backend/cuda/kernels/matmul_tile.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kFeatures = 16;
constexpr int kTileSize = kFeatures * 8;  // of one product

/// Products of one slice: `product` j has rows [8 j, 8 j + 8) of the input.
template <typename T, int kProducts>
TOUCHSTONE_DEVICE void multiply_slice(const Matmul& args, int64_t feature, int64_t slice,
                                      Product (&products)[kProducts]) {
  constexpr int kK = Chunk<T>::kK;
  constexpr int kAhead = 4 / kProducts;  // chunks whose loads are under way together
  const int64_t start = slice * kMatmulSlice;
  const int64_t end = start + kMatmulSlice < args.k ? start + kMatmulSlice : args.k;
  const int place = fragment_place() * Pack<T>::kSize;
  for (int64_t first = start; first < end; first += int64_t{kAhead} * kK) {
    Pack<T> upper[kAhead];
    Pack<T> lower[kAhead];
    Pack<T> column[kAhead][kProducts];
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const int64_t k = first + i * kK + place;
      const int64_t row = feature + fragment_group();
      upper[i] = load_matrix<T>(args.weight, args.weight_stride, args.columns, end, row, k);
      lower[i] = load_matrix<T>(args.weight, args.weight_stride, args.columns, end, row + 8, k);
      TOUCHSTONE_UNROLL
      for (int j = 0; j < kProducts; ++j) {
        column[i][j] =
            load_matrix<T>(args.in, args.in_stride, args.rows, end, 8 * j + fragment_group(), k);
      }
    }
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      TOUCHSTONE_UNROLL
      for (int j = 0; j < kProducts; ++j) {
        Chunk<T>::multiply(products[j], upper[i], lower[i], column[i][j]);
      }
    }
  }
}

template <typename T, int kProducts>
TOUCHSTONE_KERNEL TOUCHSTONE_BOUNDS(32 * kWarps, 2) narrow_kernel(const Matmul args) {
  constexpr int kOutputs = kProducts * kTileSize;
  constexpr int kPerThread = kOutputs / (32 * kWarps) > 0 ? kOutputs / (32 * kWarps) : 1;
  TOUCHSTONE_SHARED(float, sums, kWarps* kOutputs);
  const int64_t feature = int64_t{block_index().x} * kFeatures;
  const int64_t slices = (args.k + kMatmulSlice - 1) / kMatmulSlice;
  float totals[kPerThread] = {};
  for (int64_t first = 0; first < slices; first += kWarps) {
    Product products[kProducts] = {};
    multiply_slice<T>(args, feature, first + warp(), products);
    TOUCHSTONE_UNROLL
    for (int j = 0; j < kProducts; ++j) {
      TOUCHSTONE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int row = fragment_group() + i / 2 * 8;
        const int column = 8 * j + 2 * fragment_place() + i % 2;
        sums[warp() * kOutputs + column * kFeatures + row] = products[j].d[i];
      }
    }
    sync_block();
    TOUCHSTONE_UNROLL
    for (int i = 0; i < kPerThread; ++i) {
      const int output = i * 32 * kWarps + thread_index();
      if (output >= kOutputs) continue;
      for (int w = 0; w < kWarps && first + w < slices; ++w) {
        const float sum = sums[w * kOutputs + output];
        totals[i] += sum;
      }
    }
    sync_block();
  }
  TOUCHSTONE_UNROLL
  for (int i = 0; i < kPerThread; ++i) {
    const int output = i * 32 * kWarps + thread_index();
    if (output >= kOutputs) continue;
    store_output<T>(args, output / kFeatures, feature + output % kFeatures, totals[i]);
  }
}

}  // namespace

void matmul_narrow(const Matmul& args, Stream stream) {
  const Grid grid = {ceil_div(args.columns, kFeatures), 1, 1};
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    const auto kernel = args.rows <= 8 ? narrow_kernel<T, 1> : narrow_kernel<T, 2>;
    launch("matmul_narrow", kernel, grid, 32 * kWarps, 0, stream, args);
  });
}

void matmul(const Matmul& args, Stream stream) {
  if (args.rows == 0) return;
  if (args.rows <= kNarrowRows) {
    matmul_narrow(args, stream);
  } else {
    matmul_wide(args, stream);
  }
}

}  // namespace touchstone::backend::cuda
