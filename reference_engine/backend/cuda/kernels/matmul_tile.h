// What the kernels of matmul() share. Features are rows of A, the rows of the input columns of B.
// Device code.
#pragma once

#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/fragments.h"
#include "reference_engine/backend/cuda/kernels/packs.h"

namespace touchstone::backend::cuda {

/// 16 bytes at [row][k] of a matrix; zeros outside of it.
template <typename T>
TOUCHSTONE_DEVICE Pack<T> load_matrix(const void* matrix, int64_t stride, int64_t rows,
                                      int64_t width, int64_t row, int64_t k) {
  if (row >= rows || k >= width) return {};
  const T* at = static_cast<const T*>(matrix) + row * stride;
  return load_some(at, k, width, k + Pack<T>::kSize <= width);
}

/// One output: bias, rounding, store.
template <typename T>
TOUCHSTONE_DEVICE void store_output(const Matmul& args, int64_t row, int64_t feature, float sum) {
  if (row >= args.rows || feature >= args.columns) return;
  if (args.bias != nullptr) sum += to_float(load(static_cast<const T*>(args.bias) + feature));
  store(static_cast<T*>(args.out) + row * args.out_stride + feature, from_float<T>(sum));
}

/// matmul_narrow.cu: at most kNarrowRows rows. matmul_wide.cu: any number.
inline constexpr int64_t kNarrowRows = 16;
void matmul_narrow(const Matmul& args, Stream stream);
void matmul_wide(const Matmul& args, Stream stream);

}  // namespace touchstone::backend::cuda
