#include "reference_engine/backend/cuda/elements.h"

#include <cstring>

namespace touchstone::backend::cuda {

uint16_t half_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U);   // NaN
  if (magnitude >= 0x477FF000U) return static_cast<uint16_t>(sign | 0x7C00U);  // 65520 and more
  if (magnitude < 0x38800000U) {
    // Below 2^-14 a half counts in steps of 2^-24: adding 0.5 leaves them in the lowest bits,
    // rounded as the addition rounds.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000U));
  }
  const uint32_t odd = (magnitude >> 13) & 1U;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000U + 0xFFFU + odd) >> 13));
}

float rounded(Element element, float value) {
  switch (element) {
    case Element::kFloat32:
      return value;
    case Element::kBFloat16:
      return model::bf16_to_float(model::float_to_bf16(value));
    case Element::kFloat16:
      return model::f16_to_float(half_bits(value));
  }
  return value;
}

void write_elements(Element element, std::span<const float> values, void* out) {
  if (element == Element::kFloat32) {
    std::memcpy(out, values.data(), values.size_bytes());
    return;
  }
  auto* to = static_cast<uint16_t*>(out);
  for (size_t i = 0; i < values.size(); ++i) {
    to[i] = element == Element::kBFloat16 ? model::float_to_bf16(values[i]) : half_bits(values[i]);
  }
}

}  // namespace touchstone::backend::cuda
