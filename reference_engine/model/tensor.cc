#include "reference_engine/model/tensor.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace touchstone::model {

int64_t Tensor::elements() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string to_string(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

float f16_to_float(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000U} << 16;
  const uint32_t exponent = (bits >> 10) & 0x1F;
  const uint32_t mantissa = bits & 0x3FF;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24 is exact in f32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

std::optional<int64_t> first_not_finite(const Tensor& tensor) {
  // Eight bytes at a time: an exponent of all ones plus its lowest bit carries into the sign's
  // place, which was masked out, and no other exponent does.
  const bool wide = tensor.dtype == DType::kFloat32;
  const uint64_t exponents = wide                               ? 0x7F8000007F800000U
                             : tensor.dtype == DType::kBFloat16 ? 0x7F807F807F807F80U
                                                                : 0x7C007C007C007C00U;
  const uint64_t lowest = exponents & ~(exponents << 1);
  const uint64_t signs = wide ? 0x8000000080000000U : 0x8000800080008000U;
  const size_t size = static_cast<size_t>(size_of(tensor.dtype));
  for (size_t at = 0; at < tensor.bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, tensor.bytes.data() + at, std::min(sizeof word, tensor.bytes.size() - at));
    const uint64_t found = ((word & exponents) + lowest) & signs;
    if (found == 0) continue;
    return static_cast<int64_t>((at + static_cast<size_t>(std::countr_zero(found)) / 8) / size);
  }
  return std::nullopt;
}

void read_floats(const Tensor& tensor, int64_t first, std::span<float> out) {
  const int64_t size = size_of(tensor.dtype);
  const int64_t count = static_cast<int64_t>(out.size());
  BASE_CHECK(first >= 0 && (first + count) * size <= static_cast<int64_t>(tensor.bytes.size()),
             first, " ", count);
  const std::byte* source = tensor.bytes.data() + first * size;
  if (tensor.dtype == DType::kFloat32) {
    std::memcpy(out.data(), source, out.size_bytes());
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, source + 2 * i, 2);
    out[static_cast<size_t>(i)] =
        tensor.dtype == DType::kBFloat16 ? bf16_to_float(bits) : f16_to_float(bits);
  }
}

}  // namespace touchstone::model
