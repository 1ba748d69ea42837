#define TOUCHSTONE_ISA portable
#include "reference_engine/backend/cpu/kernels_impl.h"

namespace touchstone::backend::cpu {

const Kernels& portable_kernels() {
  static const Kernels kKernels = portable::make_kernels("portable");
  return kKernels;
}

}  // namespace touchstone::backend::cpu
