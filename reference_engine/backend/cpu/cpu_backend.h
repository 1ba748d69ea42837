// The backend on the CPU. See backend.h for the contract, executor.h for its options and decoder.h
// for the arithmetic. Plans wait in line and are computed by wait(), on the caller's thread and the
// pool's: while the processor is the device, nothing is gained by computing earlier.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/backend/cpu/executor.h"
#include "reference_engine/backend/registry.h"
#include "reference_engine/sampling/sampler.h"

namespace touchstone::backend::cpu {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(std::unique_ptr<Executor> executor);

  const ModelInfo& model() const override { return executor_->info(); }
  Result<Sizes> size(const Limits& limits) override;
  Status allocate_kv(int64_t num_blocks, int32_t block_size) override;
  Status load_adapter(int32_t slot, const AdapterSource& source) override {
    return executor_->load_adapter(slot, source);
  }
  Status begin(RequestId id, const sampling::Params& params,
               std::span<const int32_t> prompt) override;
  void preempted(RequestId id) override;
  void end(RequestId id) override;
  Status submit(const Plan& plan) override;
  Status wait(Outputs& outputs) override;

 private:
  struct Request {
    sampling::Params params;
    std::vector<int32_t> prompt;
    std::vector<int32_t> output;
  };
  /// A plan in flight with what it points at.
  struct Flight {
    std::vector<Entry> entries;  // their spans lie in the vectors below
    std::vector<int32_t> tokens;
    std::vector<BlockId> blocks;
    std::vector<int32_t> bitmasks;
  };

  static void copy_plan(const Plan& plan, Flight& flight);
  void take_tokens_in_flight(Flight& flight);
  void emit(const Entry& entry, const Request* request, size_t index, size_t token,
            std::span<float> logits, sampling::Scratch& scratch, Outputs& outputs) const;

  std::unique_ptr<Executor> executor_;
  std::unordered_map<RequestId, Request> requests_;
  std::array<Flight, 2> flights_;  // a ring
  size_t oldest_ = 0;
  size_t in_flight_ = 0;
  std::vector<sampling::Scratch> scratches_;  // per row of a group of logits
};

/// The row of the table of backends: "cpu", with the settings "kernels" and "threads".
std::unique_ptr<BackendFactory> cpu_factory();

}  // namespace touchstone::backend::cpu
