// Matrix products by the project's own kernels (kernels/matmul.cu). Thread-compatible.
#pragma once

#include <memory>

#include "reference_engine/backend/cuda/gemm.h"

namespace touchstone::backend::cuda {

/// `device` must outlive it.
std::unique_ptr<Gemm> kernel_gemm(Device& device);

}  // namespace touchstone::backend::cuda
