// The forward pass of a Llama-like decoder over rows of tokens from any mix of sequences.
// Source of the arithmetic: transformers 5.x modeling_llama.py. With bfloat16, sums and functions
// are still computed in f32, and these are rounded: every matmul's result (logits included), rotary
// tables and rotated heads, attention's output, SiLU and its product, and the residual stream; the
// norm sees the residual sum before it is rounded, as vLLM's compiled graph fuses the two.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/cpu/kernels.h"
#include "reference_engine/backend/cpu/kv_cache.h"
#include "reference_engine/backend/cpu/packed_matrix.h"
#include "reference_engine/backend/cpu/thread_pool.h"
#include "reference_engine/model/loaded_model.h"

namespace touchstone::backend::cpu {

/// One sequence's run of consecutive tokens within a slab of rows.
struct Run {
  std::span<const int32_t> tokens;
  int32_t first_position = 0;
  std::span<const int32_t> block_table;
  int64_t first_row = 0;  ///< its rows are [first_row, first_row + tokens.size())
};

class Decoder final {
 public:
  /// `weights_storage`: how matrices are kept. `precision`: kBFloat16 rounds activations as vLLM
  /// does and keeps KV in bf16; kNone computes in f32 throughout.
  /// `kernels` and `pool` must outlive this. ERRORS: kUnavailable.
  static Result<Decoder> make(const model::LoadedModel& model, Storage weights_storage,
                              Rounding precision, const Kernels& kernels, ThreadPool& pool);

  const model::Config& config() const { return config_; }
  KvShape kv_shape() const;
  int64_t weight_bytes() const;
  /// Bytes that forward() over `rows` tokens of sequences of up to `max_length`, and logits(),
  /// take.
  int64_t workspace_bytes(int64_t rows, int64_t max_length) const;

  /// Writes keys and values of all tokens and leaves the last layer's hidden states in working
  /// memory, normed, row by row. REQUIRES: tokens in [0, vocab_size); the runs' rows are 0 … n-1 in
  /// order.
  void forward(std::span<const Run> runs, KvCache& cache);

  /// Logits of the given rows of the last forward(), at most `kLogitRows` at once: the caller's
  /// `use(first, logits)` gets consecutive groups, logits row i belonging to rows[first + i].
  static constexpr int64_t kLogitRows = 32;
  void logits(std::span<const int64_t> rows,
              const std::function<void(int64_t first, const Rows& logits)>& use);

 private:
  struct Layer {
    std::vector<float> input_norm;  // (padded hidden)
    std::vector<float> post_norm;
    PackedMatrix qkv;
    PackedMatrix o;
    PackedMatrix gate_up;
    PackedMatrix down;
  };
  struct Matrix {
    std::vector<float> values;
    Rows resize(int64_t rows, int64_t stride);
  };

  Decoder(const model::Config& config, Rounding precision, const Kernels& kernels,
          ThreadPool& pool);
  Status pack(const model::LoadedModel& model, Storage storage);
  void embed(std::span<const Run> runs, const Rows& hidden);
  void compute_rotations(std::span<const Run> runs, int64_t rows);
  void add_and_norm(const Rows& hidden, const Rows* added, const std::vector<float>& weight,
                    const Rows& out);
  void rotate(float* head, int64_t row) const;
  void rotate_and_store(int32_t layer, std::span<const Run> runs, const Rows& qkv, KvCache& cache);
  void attend(int32_t layer, std::span<const Run> runs, const Rows& qkv, const KvCache& cache,
              const Rows& out);
  void feed_forward(const Layer& layer, const Rows& normed, const Rows& projected);
  int64_t k_column() const;
  int64_t v_column() const;

  model::Config config_;
  Rounding precision_;
  const Kernels* kernels_;
  ThreadPool* pool_;
  PackedMatrix embedding_;
  PackedMatrix lm_head_;  // empty when tied
  std::vector<Layer> layers_;
  std::vector<float> final_norm_;
  std::vector<float> inverse_frequencies_;

  // Working memory, grown to what the largest slab needed.
  Matrix hidden_, normed_, qkv_, attended_, projected_, gate_up_, activated_, chosen_, logits_;
  std::vector<float> cosines_, sines_;               // (rows, head_dim / 2)
  std::vector<std::vector<float>> scores_, packed_;  // per thread
  MatmulScratch scratch_;
};

}  // namespace touchstone::backend::cpu
