// The backend on the CPU. See backend.h for the contract and decoder.h for the arithmetic.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/model/loaded_model.h"

namespace touchstone::backend::cpu {

struct CpuOptions {
  /// "auto": bfloat16 for a folder made in bfloat16, else float32. float32: activations and KV in
  /// f32, weights as stored (bf16 weights are exact in f32, so they stay small). bfloat16: as
  /// vLLM's: activations rounded after every operator, KV in bf16.
  std::string dtype = "auto";
  std::string kernels = "auto";  ///< "auto", "avx512", "avx2", "portable": equal bits, other speed
  int threads = 0;               ///< 0: as many as the processor runs at once
};

class CpuBackend final : public Backend {
 public:
  struct Impl;
  /// For make_cpu_backend().
  explicit CpuBackend(std::unique_ptr<Impl> impl);
  ~CpuBackend() override;
  CpuBackend(const CpuBackend&) = delete;
  CpuBackend& operator=(const CpuBackend&) = delete;

  const ModelInfo& model() const override;
  int64_t kv_block_bytes(int32_t block_size) const override;
  Status allocate_kv(int64_t num_blocks, int32_t block_size) override;
  Status execute(std::span<const SequenceStep> sequences,
                 std::vector<SequenceOutput>& outputs) override;

  /// Runs a step without sampling and hands over the logits, (vocab) f32, of every token of every
  /// sequence: `use(sequence, token, logits)`, in order. For tests and tools that look inside.
  void execute_for_logits(
      std::span<const SequenceStep> sequences,
      const std::function<void(size_t sequence, size_t token, std::span<const float>)>& use);

 private:
  std::unique_ptr<Impl> impl_;
};

/// `model` is read once and not needed afterwards.
/// ERRORS: kInvalidArgument naming the option, kUnsupported, kUnavailable (memory).
Result<std::unique_ptr<CpuBackend>> make_cpu_backend(const model::LoadedModel& model,
                                                     const CpuOptions& options);
/// Loads the Hugging Face folder first. ERRORS: load_model()'s too.
Result<std::unique_ptr<CpuBackend>> make_cpu_backend(const std::string& folder,
                                                     const CpuOptions& options);

}  // namespace touchstone::backend::cpu
