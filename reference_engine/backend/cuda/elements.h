// Numbers as the device keeps them, made on the host. Pure.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/model/tensor.h"

namespace touchstone::backend::cuda {

constexpr model::DType dtype_of(Element element) {
  return element == Element::kFloat32    ? model::DType::kFloat32
         : element == Element::kBFloat16 ? model::DType::kBFloat16
                                         : model::DType::kFloat16;
}
constexpr Element element_of(model::DType dtype) {
  return dtype == model::DType::kFloat32    ? Element::kFloat32
         : dtype == model::DType::kBFloat16 ? Element::kBFloat16
                                            : Element::kFloat16;
}

/// Round to nearest, ties to even; beyond the largest half: infinity.
uint16_t half_bits(float value);

/// `values` rounded to `element`, written from `out` on. REQUIRES: room for all.
void write_elements(Element element, std::span<const float> values, void* out);

/// `value` as an element keeps it.
float rounded(Element element, float value);

}  // namespace touchstone::backend::cuda
