// A LoRA adapter's matrices packed for the CPU, and their product with rows of activations. The
// rows are computed one by one, in one order of sums: INV-5 holds for adapters too. What PEFT
// computes in one type is, with bfloat16, computed in f32 from matrices rounded to bfloat16, and
// the sum is rounded: as vLLM's kernels do. Immutable after pack(); thread-safe then.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/cpu/kernels.h"
#include "reference_engine/backend/cpu/packed_matrix.h"
#include "reference_engine/backend/cpu/thread_pool.h"
#include "reference_engine/model/adapter.h"

namespace touchstone::backend::cpu {

/// Of projections that have one input and whose outputs lie side by side.
struct LowRankProduct {
  struct Part {
    PackedMatrix b;            // (outputs, rank)
    int64_t inner_column = 0;  // of a's result
    int64_t out_column = 0;
    float scale = 1.0F;
  };
  PackedMatrix a;           // the parts' (rank, inputs), stacked
  std::vector<Part> parts;  // empty: nothing is added
};

class PackedAdapter final {
 public:
  struct Layer {
    LowRankProduct qkv, o, gate_up, down;
  };

  /// ERRORS: kUnavailable (memory).
  static Result<PackedAdapter> pack(const model::LoadedAdapter& adapter,
                                    const model::Config& config, Storage storage);

  const Layer& layer(int32_t index) const { return layers_[static_cast<size_t>(index)]; }
  /// The most that one of this rank takes.
  static int64_t bytes_max(const model::Config& config, int32_t rank, Storage storage);
  /// The most that add_low_rank() takes besides.
  static int64_t workspace_bytes(const model::Config& config, int32_t rank, int64_t rows);

 private:
  std::vector<Layer> layers_;
};

/// Working memory of add_low_rank(), kept between calls.
struct LowRankScratch {
  std::vector<float> inner, delta;
  MatmulScratch matmul;
};

/// out += scale * b · (a · in) for each part, rounded once. `in` is (M, >= inputs), `out` as wide
/// as the projections' own result.
void add_low_rank(const Kernels& kernels, ThreadPool& pool, const Rows& in,
                  const LowRankProduct& product, const Rows& out, Rounding rounding,
                  LowRankScratch& scratch);

}  // namespace touchstone::backend::cpu
