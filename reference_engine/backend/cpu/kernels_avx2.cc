// Compiled with instruction-set flags (CMakeLists.txt); called only when the processor has them.
#if defined(__x86_64__)
#define TOUCHSTONE_ISA avx2
#define TOUCHSTONE_ISA_AVX2
#include "reference_engine/backend/cpu/kernels_impl.h"

namespace touchstone::backend::cpu {

const Kernels* avx2_kernels() {
  static const Kernels kKernels = avx2::make_kernels("avx2");
  return &kKernels;
}

}  // namespace touchstone::backend::cpu
#else
#include "reference_engine/backend/cpu/kernels.h"

namespace touchstone::backend::cpu {

const Kernels* avx2_kernels() { return nullptr; }

}  // namespace touchstone::backend::cpu
#endif
