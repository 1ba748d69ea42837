// A tensor that lies in somebody else's memory. Value; borrows.
#pragma once

#include <cstddef>
#include <cstdint>
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
float bf16_to_float(uint16_t bits);
float f16_to_float(uint16_t bits);
/// Round to nearest, ties to even; NaN stays NaN.
uint16_t float_to_bf16(float value);

/// Elements [first, first + out.size()) of `tensor` as f32.
void read_floats(const Tensor& tensor, int64_t first, std::span<float> out);

}  // namespace touchstone::model
