// Matrix products as the definition has them, for the emulator: much faster there than a kernel,
// and the place that cuBLASLt has on a GPU. Every output is one chain of fused multiply-adds, in
// the order of the inputs. Thread-compatible.
#pragma once

#include <memory>

#include "reference_engine/backend/cuda/gemm.h"

namespace touchstone::backend::cuda {

/// `device` must outlive it.
std::unique_ptr<Gemm> plain_gemm(Device& device);

}  // namespace touchstone::backend::cuda
