// What the tests of this folder share: CUDA backends over the emulator, and the device under one.
#pragma once

#include <memory>
#include <string>

#include "base/check.h"
#include "reference_engine/backend/cuda/cuda_backend.h"
#include "tests/backend/runner.h"
#include "tests/cuda/emulated_platform.h"

namespace touchstone::backend::cuda {

using cpu::fixture;

inline constexpr Limits kLimits = {
    .max_num_batched_tokens = 512, .max_num_seqs = 16, .max_model_len = 256, .block_size = 16};

/// With 128 KV blocks. Races are the business of the kernels' own tests, unless one asks for them.
inline std::unique_ptr<Backend> emulated_backend(
    const std::string& model, const BackendOptions& options, const Limits& limits = kLimits,
    const EmulatedOptions& device = {.find_races = false}) {
  auto backend = cuda_factory(emulated_platform(device))->create(fixture(model), options);
  BASE_CHECK(backend.has_value(), backend.error().message);
  const auto sizes = (*backend)->size(limits);
  BASE_CHECK(sizes.has_value(), sizes.error().message);
  const Status status = (*backend)->allocate_kv(128, limits.block_size);
  BASE_CHECK(status.has_value(), status.error().message);
  return *std::move(backend);
}

inline EmulatedDevice& device_of(Backend& backend) {
  return dynamic_cast<EmulatedDevice&>(dynamic_cast<CudaBackend&>(backend).device());
}

}  // namespace touchstone::backend::cuda
