// A model in memory with its KV cache, and the forward pass over a step's tokens, cut into slabs.
// No requests, no sampling: the caller says whose logits it wants. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/backend/cpu/decoder.h"
#include "reference_engine/backend/cpu/kv_cache.h"
#include "reference_engine/backend/cpu/thread_pool.h"
#include "reference_engine/model/loaded_model.h"

namespace touchstone::backend::cpu {

struct CpuOptions {
  /// "auto": bfloat16 for a folder made in bfloat16, else float32. float32: activations and KV in
  /// f32, weights as stored (bf16 weights are exact in f32, so they stay small). bfloat16: as
  /// vLLM's: activations rounded after every operator, KV in bf16.
  std::string dtype = "auto";
  std::string kernels = "auto";  ///< "auto", "avx512", "avx2", "portable": equal bits, other speed
  int32_t adapter_slots = 0;
  int32_t max_adapter_rank = 0;
  int threads = 0;  ///< 0: as many as the processor runs at once
};

/// Tokens of one sequence to compute; see Entry of plan.h.
struct Segment {
  std::span<const int32_t> tokens;  ///< none in flight any more
  int32_t first_position = 0;
  std::span<const BlockId> block_table;
  std::optional<int32_t> adapter_slot;
};

/// A row of logits that somebody wants: of token `token` of segment `segment`.
struct Wanted {
  size_t segment = 0;
  size_t token = 0;
};

class Executor final {
 public:
  /// `model` is read once and not needed afterwards.
  /// ERRORS: kInvalidArgument naming the option, kUnsupported, kUnavailable (memory).
  static Result<std::unique_ptr<Executor>> make(const model::LoadedModel& model,
                                                const CpuOptions& options);

  const ModelInfo& info() const { return info_; }
  const model::Config& config() const { return decoder_->config(); }
  ThreadPool& pool() { return pool_; }
  int64_t kv_block_bytes(int32_t block_size) const;
  /// Most bytes that run() takes within `limits`, besides weights and KV.
  int64_t workspace_bytes(const Limits& limits) const;
  Status allocate_kv(int64_t num_blocks, int32_t block_size);
  /// See Backend.
  Status load_adapter(int32_t slot, const AdapterSource& source);

  /// Computes the segments in order. `wants(segment, token)`: whether its logits are wanted;
  /// `use(wanted, logits)` gets them in order, at most Decoder::kLogitRows at once, row i of
  /// `logits`, (vocab) f32, being that of wanted[i]; it may write on them.
  void run(std::span<const Segment> segments,
           const std::function<bool(size_t segment, size_t token)>& wants,
           const std::function<void(std::span<const Wanted>, const Rows& logits)>& use);

 private:
  explicit Executor(int threads) : pool_(threads) {}
  void check(std::span<const Segment> segments) const;

  ModelInfo info_;
  std::vector<std::optional<PackedAdapter>> adapters_;  // by slot
  int32_t max_adapter_rank_ = 0;
  ThreadPool pool_;
  std::optional<Decoder> decoder_;
  std::optional<KvCache> cache_;
};

}  // namespace touchstone::backend::cpu
