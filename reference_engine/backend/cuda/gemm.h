// Matrix products of the engine: rows of activations times the transposed weights of a projection.
// Batch invariance (INV-5) is this interface's duty: a row's result depends on that row and the
// weights, never on how many rows there are. Implementations: kernel_gemm.h (the project's own
// kernels) and cublaslt_gemm.h. Thread-compatible.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "reference_engine/backend/cuda/device_api.h"

namespace touchstone::backend::cuda {

/// A projection. Letters: N columns (outputs), K depth (inputs).
struct GemmWeights {
  Element element = Element::kFloat32;  ///< of everything; sums are in f32, rounded once
  const void* matrix = nullptr;         ///< (N, stride), of which (N, K) counts; device
  const void* bias = nullptr;           ///< (N), device; null: none. Added before the rounding
  int64_t columns = 0;
  int64_t depth = 0;
  int64_t stride = 0;  ///< elements from row to row, a multiple of 8
};

/// Rows of inputs or outputs on the device.
struct GemmRows {
  void* data = nullptr;
  int64_t stride = 0;  ///< elements, a multiple of 8
};

class Gemm {
 public:
  /// Buffers of inputs and outputs have room for a multiple of this many rows; what lies beyond the
  /// rows that are asked for may be read and written, and means nothing.
  static constexpr int64_t kRowTile = 64;
  static int64_t padded_rows(int64_t rows) { return (rows + kRowTile - 1) / kRowTile * kRowTile; }

  virtual ~Gemm() = default;
  virtual const char* name() const = 0;
  /// Decides, once, how products with these weights are computed; gives their number for run().
  /// ERRORS: kUnsupported: no algorithm keeps the order of sums whatever the number of rows.
  virtual Result<int32_t> add(const GemmWeights& weights) = 0;
  /// out (rows, N) = in (rows, K) · matrixᵀ + bias, joining the device's queue.
  virtual Status run(int32_t weights, const GemmRows& in, int64_t rows, const GemmRows& out) = 0;
};

}  // namespace touchstone::backend::cuda
