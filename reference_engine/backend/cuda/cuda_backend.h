// The backend on a GPU, or on the emulator: requests and plans of backend.h over an executor. Plans
// are on the device's queue when submit() returns; a token in flight never leaves the device.
// Thread-compatible.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "reference_engine/backend/backend.h"
#include "reference_engine/backend/cuda/executor.h"
#include "reference_engine/backend/registry.h"

namespace touchstone::backend::cuda {

/// What a backend runs on, and how it is opened.
struct Platform {
  /// Without taking the device. ERRORS: kUnavailable.
  std::function<Result<DeviceFacts>()> query;
  std::function<Result<std::unique_ptr<Device>>()> open;
  /// By name, the first of `gemms` unless somebody asks for another one.
  std::function<Result<std::unique_ptr<Gemm>>(Device& device, const std::string& name)> make_gemm;
  std::vector<std::string> gemms;
  /// One line for people about the device: driver, clocks, memory.
  std::function<std::string(const DeviceFacts& facts)> describe;
};

/// The row of the table of backends: "cuda", with the settings "gpu-memory-utilization",
/// "enforce-eager" and "gemm".
std::unique_ptr<BackendFactory> cuda_factory(Platform platform);

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::unique_ptr<Device> device, std::unique_ptr<Executor> executor, ModelInfo info,
              double memory_utilization, const Limits& usual_limits);
  ~CudaBackend() override;

  const ModelInfo& model() const override { return info_; }
  Result<Sizes> size(const Limits& limits) override;
  Status allocate_kv(int64_t num_blocks, int32_t block_size) override;
  Status begin(RequestId id, const sampling::Params& params,
               std::span<const int32_t> prompt) override;
  void preempted(RequestId id) override;
  void end(RequestId id) override;
  Status submit(const Plan& plan) override;
  Status wait(Outputs& outputs) override;

  Device& device() { return *device_; }

 private:
  /// A plan in flight.
  struct Flight {
    size_t half = 0;
    std::vector<Entry> entries;            // without what their spans pointed at
  };

  void check(const Plan& plan) const;
  void give_slots(const Plan& plan, std::vector<RequestState*>& requests,
                  std::vector<const RequestState*>& newcomers);
  int32_t free_slot(const Plan& plan);

  std::unique_ptr<Device> device_;
  std::unique_ptr<Executor> executor_;
  ModelInfo info_;
  double memory_utilization_;
  Limits limits_;
  std::unordered_map<RequestId, RequestState> requests_;
  std::vector<std::optional<RequestId>> slots_;  // who holds each
  std::deque<Flight> flights_;
  size_t next_half_ = 0;
};

}  // namespace touchstone::backend::cuda
