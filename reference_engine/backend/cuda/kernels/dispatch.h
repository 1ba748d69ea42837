// From an Element to a type. Host code.
#pragma once

#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/elements.h"

namespace touchstone::backend::cuda {

/// Calls `f` with a value of the type.
template <typename F>
void with_element(Element element, const F& f) {
  switch (element) {
    case Element::kFloat32:
      return f(float{});
    case Element::kBFloat16:
      return f(BFloat16{});
    case Element::kFloat16:
      return f(Half{});
  }
}

constexpr int ceil_div(int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); }

/// Whether rows can be moved 16 bytes at a time: `sizes` are widths and strides.
template <typename T, typename... Sizes>
constexpr bool in_packs(Sizes... sizes) {
  return ((sizes % Pack<T>::kSize == 0) && ...);
}

}  // namespace touchstone::backend::cuda
