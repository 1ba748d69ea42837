// The forward pass of a decoder-only transformer, as its spec (model/spec.h) says, on the device:
// puts kernels on the queue and waits for nothing. The arithmetic is that of cpu/decoder.h; sums
// are in f32 and in an order of their own. Thread-compatible.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/backend/cuda/device_memory.h"
#include "reference_engine/backend/cuda/gemm.h"
#include "reference_engine/backend/cuda/kv_cache.h"
#include "reference_engine/backend/cuda/weights.h"

namespace touchstone::backend::cuda {

/// Sequences that attention treats alike. All arrays are on the device; see Attend in kernels.h.
struct AttendGroup {
  int32_t sequences = 0;
  const int32_t* row_starts = nullptr;
  const int32_t* lengths = nullptr;
  const int32_t* block_tables = nullptr;
  int64_t table_stride = 0;
  int32_t max_rows = 0;
  int32_t max_length = 0;
};

/// What one pass computes. Rows of sequences with a single row come first.
struct ForwardInputs {
  int64_t rows = 0;
  const int32_t* tokens = nullptr;     ///< (rows): a token, or -1 - slot of `latest`
  const int32_t* latest = nullptr;     ///< (slots)
  const int32_t* positions = nullptr;  ///< (rows)
  const int64_t* slots = nullptr;      ///< (rows): where keys and values go; negative: nowhere
  AttendGroup single;                  ///< one row each
  AttendGroup several;
};

class Decoder final {
 public:
  /// The most that a pass asks for.
  struct Room {
    int64_t rows = 0;
    int64_t logit_rows = 0;
    int32_t single_sequences = 0;
    int32_t max_length = 0;
  };

  /// `device` and `gemm` must outlive it. ERRORS: kUnsupported naming what the spec asks for and
  /// the kernels do not compute; as Weights::upload().
  static Result<Decoder> make(Device& device, Gemm& gemm, const model::LoadedModel& model,
                              Element element);

  const model::Config& config() const { return config_; }
  Element element() const { return element_; }
  KvShape kv_shape() const;
  int64_t weight_bytes() const { return weights_.bytes(); }
  int64_t workspace_bytes(const Room& room) const;
  /// Once, before the first pass. ERRORS: kUnavailable.
  Status allocate(const Room& room);

  /// Leaves the last layer's hidden states in working memory, normed.
  Status forward(const ForwardInputs& inputs, const KvCache& cache);
  /// Logits of rows of the last forward(): row i of logits() is of row indices[i]. `indices` is on
  /// the device. REQUIRES: count <= Room::logit_rows.
  Status compute_logits(const int32_t* indices, int64_t count);
  const void* logits() const { return logits_.data; }  ///< (…, logits_stride()) of element()
  int64_t logits_stride() const { return logits_.stride; }

 private:
  Decoder(Device& device, Gemm& gemm, const model::Config& config, Element element)
      : device_(&device), gemm_(&gemm), config_(config), element_(element) {}
  int64_t lay_out(const Room& room, std::byte* base);
  Status embed_rows(const ForwardInputs& inputs);
  Status norm(const NormWeights& weights, int64_t rows, const void* added);
  Status attend(const ForwardInputs& inputs, int32_t layer, const KvCache& cache);
  Status feed_forward(const LayerOnDevice& layer, int64_t rows);
  Status multiply(const Projection& projection, const GemmRows& in, int64_t rows,
                  const GemmRows& out) {
    return gemm_->run(projection.gemm, in, rows, out);
  }

  Device* device_;
  Gemm* gemm_;
  model::Config config_;
  Element element_;
  Weights weights_;
  DeviceBuffer memory_;
  // All within memory_.
  GemmRows residual_, normed_, projected_, qkv_, attended_, gate_up_, activated_, chosen_, logits_;
  void* attend_workspace_ = nullptr;
};

}  // namespace touchstone::backend::cuda
