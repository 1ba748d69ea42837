// A tensor that lies in somebody else's memory. Value; borrows.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reference_engine/model/config.h"

namespace touchstone::model {

struct Tensor {
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;        ///< row-major, last index fastest
  std::span<const std::byte> bytes;  ///< not aligned beyond one byte

  int64_t elements() const;
};

/// "[2048, 128]"
std::string to_string(const std::vector<int64_t>& shape);

/// The f32 value of a bfloat16 or IEEE half.
inline float bf16_to_float(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
float f16_to_float(uint16_t bits);
/// Round to nearest, ties to even; NaN stays NaN.
inline uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// The first element that is a NaN or an infinity; nullopt when there is none.
std::optional<int64_t> first_not_finite(const Tensor& tensor);

/// Elements [first, first + out.size()) of `tensor` as f32.
void read_floats(const Tensor& tensor, int64_t first, std::span<float> out);

}  // namespace touchstone::model
