// The CUDA backend over the emulator: host code and kernels are those of the plugin. cuBLASLt is
// not there; plain_gemm.h has its place, as "plain". Thread-compatible.
#pragma once

#include <memory>

#include "reference_engine/backend/cuda/cuda_backend.h"
#include "tests/cuda/emulated_device.h"

namespace touchstone::backend::cuda {

Platform emulated_platform(const EmulatedOptions& options = {});

}  // namespace touchstone::backend::cuda
