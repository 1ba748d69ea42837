// Matrix products by cuBLASLt. Every weight matrix gets one algorithm at load: the best of the
// heuristic's that splits no sum (no split-K, no workspace), chosen at one tile of rows and used
// for every number of rows, each rounded up to whole tiles. So an output is always the same sum in
// the same order. Source: cuBLAS 13.0 documentation, cublasLtMatmul(). Thread-compatible.
#pragma once

#include <memory>

#include "reference_engine/backend/cuda/gemm.h"

namespace touchstone::backend::cuda {

/// `device` must outlive it. ERRORS: kUnavailable: cuBLASLt refuses to start.
Result<std::unique_ptr<Gemm>> cublaslt_gemm(Device& device);

}  // namespace touchstone::backend::cuda
