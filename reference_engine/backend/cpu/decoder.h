// The forward pass of a decoder-only transformer, as its spec (model/spec.h) says, over rows of
// tokens from any mix of sequences. Source of the arithmetic: transformers 5.x modeling_llama.py,
// modeling_opt.py, modeling_qwen3.py. With bfloat16, sums and functions are still computed in f32,
// and these are rounded: every matmul's result with its bias (logits included), normed heads,
// rotary tables and rotated heads, attention's output, activations and their product, and the
// residual stream; the norm sees the residual sum before it is rounded, as vLLM's compiled graph
// fuses the two. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/cpu/kernels.h"
#include "reference_engine/backend/cpu/kv_cache.h"
#include "reference_engine/backend/cpu/packed_adapter.h"
#include "reference_engine/backend/cpu/packed_matrix.h"
#include "reference_engine/backend/cpu/thread_pool.h"
#include "reference_engine/model/loaded_model.h"

namespace touchstone::backend::cpu {

/// One sequence's run of consecutive tokens within a slab of rows.
struct Run {
  std::span<const int32_t> tokens;
  int32_t first_position = 0;
  std::span<const int32_t> block_table;
  int64_t first_row = 0;                   ///< its rows are [first_row, first_row + tokens.size())
  const PackedAdapter* adapter = nullptr;  ///< null: the base model
};

class Decoder final {
 public:
  /// `weights_storage`: how matrices are kept. `precision`: kBFloat16 rounds activations as vLLM
  /// does and keeps KV in bf16; kNone computes in f32 throughout.
  /// `kernels` and `pool` must outlive this. ERRORS: kUnavailable; kUnsupported: what the spec asks
  /// for and this does not compute (a gated ReLU, a SiLU without gate).
  static Result<Decoder> make(const model::LoadedModel& model, Storage weights_storage,
                              Rounding precision, const Kernels& kernels, ThreadPool& pool);

  const model::Config& config() const { return config_; }
  /// Matrices for runs of this decoder. ERRORS: kUnavailable.
  Result<PackedAdapter> pack_adapter(const model::LoadedAdapter& adapter) const {
    return PackedAdapter::pack(adapter, config_, adapter_storage());
  }
  /// How an adapter's matrices are kept: in the type of the activations.
  Storage adapter_storage() const {
    return precision_ == Rounding::kBFloat16 ? Storage::kBFloat16 : Storage::kFloat32;
  }
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
  struct Norm {
    std::vector<float> weight;  // (padded hidden)
    std::vector<float> bias;    // the same; zeros when there is none
  };
  /// One or more projections side by side.
  struct Linear {
    PackedMatrix matrix;
    std::vector<float> bias;  // (matrix.columns()); empty: none
  };
  struct Layer {
    Norm attention_norm;
    Linear qkv;
    std::vector<float> q_norm, k_norm;  // (padded head_dim); empty: none
    Linear o;
    Norm feed_forward_norm;
    Linear gate_up;  // or up alone
    Linear down;
  };
  struct Matrix {
    std::vector<float> values;
    Rows resize(int64_t rows, int64_t stride);
  };

  Decoder(const model::Config& config, Rounding precision, const Kernels& kernels,
          ThreadPool& pool);
  Status pack(const model::LoadedModel& model, Storage storage);
  Norm read_norm(const model::Affine& norm) const;
  Result<Linear> pack_linear(const std::vector<const model::Affine*>& parts, Storage storage) const;
  void multiply(const Rows& in, const Linear& linear, const Rows& out);
  void embed(std::span<const Run> runs, const Rows& hidden);
  void compute_rotations(std::span<const Run> runs, int64_t rows);
  void add_and_norm(const Rows& hidden, const Rows* added, const Norm& norm, const Rows& out);
  void norm_heads(float* heads, int32_t count, const std::vector<float>& weight, float* row) const;
  void rotate(float* head, int64_t row) const;
  void store_heads(int32_t layer, std::span<const Run> runs, const Rows& qkv, KvCache& cache);
  void attend(int32_t layer, std::span<const Run> runs, const Rows& qkv, const KvCache& cache,
              const Rows& out);
  void feed_forward(int32_t index, std::span<const Run> runs, const Rows& normed,
                    const Rows& projected);
  void adapt(std::span<const Run> runs, int32_t layer, LowRankProduct PackedAdapter::Layer::*part,
             const Rows& in, const Rows& out);
  int64_t k_column() const;
  int64_t v_column() const;
  int32_t first_seen(int32_t layer, int32_t position) const;

  model::Config config_;
  Rounding precision_;
  const Kernels* kernels_;
  ThreadPool* pool_;
  PackedMatrix embedding_;
  PackedMatrix lm_head_;    // empty when tied
  PackedMatrix positions_;  // empty unless learned
  std::vector<Layer> layers_;
  Norm final_norm_;

  // Working memory, grown to what the largest slab needed.
  Matrix hidden_, normed_, qkv_, attended_, projected_, gate_up_, activated_, chosen_, logits_;
  std::vector<float> cosines_, sines_;               // (rows, head_dim / 2)
  std::vector<std::vector<float>> scores_, packed_;  // per thread
  MatmulScratch scratch_;
  LowRankScratch adapter_scratch_;
};

}  // namespace touchstone::backend::cpu
