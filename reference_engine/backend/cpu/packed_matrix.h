// Weights rearranged once into panels, and the product of activations with them.
// Immutable after pack(); thread-safe then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/cpu/buffer.h"
#include "reference_engine/backend/cpu/kernels.h"
#include "reference_engine/backend/cpu/thread_pool.h"
#include "reference_engine/model/tensor.h"

namespace touchstone::backend::cpu {

/// Smallest multiple of the panel width that holds `columns`.
constexpr int64_t padded(int64_t columns) {
  return (columns + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
}

/// Which Gemm multiplies packed weights (kernels.h says how each wants them).
enum class Layout { kFloat32, kBFloat16, kPairs };

class PackedMatrix final {
 public:
  PackedMatrix() = default;
  /// Stacks `parts`, each (n_i, k), one under the other; each part starts at a multiple of 32
  /// output columns, and the columns between are zero. With kBFloat16, elements that are not
  /// stored as bf16 are rounded to it. `activations`: what matmul() will be given; where both are
  /// bf16 they are multiplied by pairs.
  /// ERRORS: kUnavailable.
  static Result<PackedMatrix> pack(std::span<const model::Tensor* const> parts, Storage storage,
                                   Rounding activations = Rounding::kNone);

  Layout layout() const { return layout_; }
  int64_t k() const { return k_; }
  /// Inputs with those that fill up the last chunk of a matrix by pairs, whose weights are zero.
  int64_t packed_k() const;
  int64_t panels() const { return panels_; }
  int64_t columns() const { return panels_ * kPanelWidth; }  ///< padded output width
  int64_t bytes() const { return buffer_.size(); }
  int64_t panel_bytes() const;
  const std::byte* panel(int64_t index) const { return buffer_.data() + index * panel_bytes(); }
  /// Row `row` of a single-part matrix as f32: `out` has k elements.
  void read_row(int64_t row, std::span<float> out) const;

 private:
  void set_row(int64_t column, std::span<const float> values);
  /// visit(input, weight&) for the first inputs of one column, as its layout has them from `at` on.
  void visit_row(std::byte* at, int64_t column, int64_t inputs, const auto& visit) const;

  Layout layout_ = Layout::kFloat32;
  int64_t k_ = 0;
  int64_t panels_ = 0;
  Buffer buffer_;
};

/// Rows of activations: (rows, stride) f32, the first `width` columns of each meant.
struct Rows {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t stride = 0;
  float* row(int64_t index) const { return data + index * stride; }
};

/// Working memory of matmul(), kept between calls.
struct MatmulScratch {
  std::vector<std::byte> packed;
};

/// c = a · matrixᵀ: a is (M, >= packed_k), zeros from k on, c is (M, >= matrix.columns()).
void matmul(const Kernels& kernels, ThreadPool& pool, const Rows& a, const PackedMatrix& matrix,
            const Rows& c, Rounding rounding, MatmulScratch& scratch);

}  // namespace touchstone::backend::cpu
