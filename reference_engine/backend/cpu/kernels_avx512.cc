// Compiled with instruction-set flags (CMakeLists.txt); called only when the processor has them.
#if defined(__x86_64__)
#define TOUCHSTONE_ISA avx512
#define TOUCHSTONE_ISA_AVX512
#include "reference_engine/backend/cpu/kernels_impl.h"

namespace touchstone::backend::cpu {

const Kernels* avx512_kernels() {
  static const Kernels kKernels = avx512::make_kernels("avx512");
  return &kKernels;
}

}  // namespace touchstone::backend::cpu
#else
#include "reference_engine/backend/cpu/kernels.h"

namespace touchstone::backend::cpu {

const Kernels* avx512_kernels() { return nullptr; }

}  // namespace touchstone::backend::cpu
#endif
