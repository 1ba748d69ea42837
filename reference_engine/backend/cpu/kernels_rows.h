// The kernels that go over one row: norms, biases, activations. Part of kernels_impl.h, compiled
// once for each instruction set. Contracts: kernels.h.
#pragma once

#include <cstdint>

#include "reference_engine/backend/cpu/kernels.h"
#include "reference_engine/backend/cpu/vec16.h"

namespace touchstone::backend::cpu::TOUCHSTONE_ISA {

/// e^x, relative error below 2e-7. Arguments beyond [-87, 88] act as the bound.
TOUCHSTONE_INLINE Vec16 exp(Vec16 x) {
  x = min(max(x, broadcast(-87.0F)), broadcast(88.0F));
  // x = n ln 2 + r with |r| <= ln 2 / 2; adding 1.5 * 2^23 leaves n in the low bits.
  const Vec16 shift = broadcast(12582912.0F);
  const Vec16 magic = fma(x, broadcast(1.44269504F), shift);
  const Vec16 n = sub(magic, shift);
  Vec16 r = fma(n, broadcast(-0.693145751953125F), x);  // ln 2 in two parts (Cody and Waite)
  r = fma(n, broadcast(-1.42860677e-6F), r);
  // Minimax polynomial of e^r (Cephes expf).
  Vec16 p = broadcast(1.9875691500e-4F);
  p = fma(p, r, broadcast(1.3981999507e-3F));
  p = fma(p, r, broadcast(8.3334519073e-3F));
  p = fma(p, r, broadcast(4.1665795894e-2F));
  p = fma(p, r, broadcast(1.6666665459e-1F));
  p = fma(p, r, broadcast(5.0000001201e-1F));
  p = fma(p, mul(r, r), r);
  p = add(p, broadcast(1.0F));
  return mul(p, power_of_two(magic));
}

/// The sum of sixteen lanes, always in this order.
TOUCHSTONE_INLINE float sum_lanes(Vec16 x) {
  float lanes[16];
  store(lanes, x);
  for (int width = 8; width >= 1; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] = lanes[i] + lanes[i + width];
  }
  return lanes[0];
}

TOUCHSTONE_INLINE Vec16 rounded(Vec16 x, Rounding rounding) {
  return rounding == Rounding::kBFloat16 ? round_to_bf16(x) : x;
}

inline void add_rms_norm(float* residual, const float* x, const float* weight, int64_t width,
                         float eps, Rounding rounding, float* out) {
  Vec16 squares = broadcast(0.0F);
  for (int64_t i = 0; i < width; i += 16) {
    Vec16 sum = load(residual + i);
    if (x != nullptr) sum = add(sum, load(x + i));
    store(residual + i, rounded(sum, rounding));
    store(out + i, sum);
    squares = fma(sum, sum, squares);
  }
  const float mean = sum_lanes(squares) / static_cast<float>(width);
  const Vec16 scale = broadcast(1.0F / __builtin_sqrtf(mean + eps));
  for (int64_t i = 0; i < width; i += 16) {
    store(out + i, rounded(mul(mul(load(out + i), scale), load(weight + i)), rounding));
  }
}

/// The sum of f(x) over the first `width` elements; lanes are tied to their columns.
template <typename Function>
TOUCHSTONE_INLINE float sum_columns(const float* x, int64_t width, const Function& f) {
  Vec16 sum = broadcast(0.0F);
  int64_t i = 0;
  for (; i + 16 <= width; i += 16) sum = add(sum, f(load(x + i)));
  if (i < width) {  // the padding must not count
    float lanes[16];
    float values[16];
    store(lanes, sum);
    store(values, f(load(x + i)));
    for (int64_t j = 0; j < width - i; ++j) lanes[j] = lanes[j] + values[j];
    sum = load(lanes);
  }
  return sum_lanes(sum);
}

inline void add_layer_norm(float* residual, const float* x, const float* weight, const float* bias,
                           int64_t width, float eps, Rounding rounding, float* out) {
  for (int64_t i = 0; i < width; i += 16) {
    Vec16 sum = load(residual + i);
    if (x != nullptr) sum = add(sum, load(x + i));
    store(residual + i, rounded(sum, rounding));
    store(out + i, sum);
  }
  const float count = static_cast<float>(width);
  const Vec16 mean = broadcast(sum_columns(out, width, [](Vec16 value) { return value; }) / count);
  const float variance = sum_columns(out, width,
                                     [&](Vec16 value) {
                                       const Vec16 distance = sub(value, mean);
                                       return mul(distance, distance);
                                     }) /
                         count;
  const Vec16 scale = broadcast(1.0F / __builtin_sqrtf(variance + eps));
  for (int64_t i = 0; i < width; i += 16) {
    const Vec16 normed = mul(sub(load(out + i), mean), scale);
    store(out + i, rounded(fma(normed, load(weight + i), load(bias + i)), rounding));
  }
}

inline void add_bias(float* row, const float* bias, int64_t columns, Rounding rounding) {
  for (int64_t i = 0; i < columns; i += 16) {
    store(row + i, rounded(add(load(row + i), load(bias + i)), rounding));
  }
}

inline void add_scaled(float* row, const float* x, float scale, int64_t columns,
                       Rounding rounding) {
  const Vec16 factor = broadcast(scale);
  for (int64_t i = 0; i < columns; i += 16) {
    store(row + i, rounded(fma(factor, load(x + i), load(row + i)), rounding));
  }
}

inline void relu(float* row, int64_t columns) {
  const Vec16 zero = broadcast(0.0F);
  for (int64_t i = 0; i < columns; i += 16) store(row + i, max(load(row + i), zero));
}

inline void silu_mul(const float* gate, const float* up, int64_t width, Rounding rounding,
                     float* out) {
  const Vec16 one = broadcast(1.0F);
  for (int64_t i = 0; i < width; i += 16) {
    const Vec16 x = load(gate + i);
    const Vec16 negative = sub(broadcast(0.0F), x);
    const Vec16 silu = rounded(div(x, add(one, exp(negative))), rounding);
    store(out + i, rounded(mul(silu, load(up + i)), rounding));
  }
}

}  // namespace touchstone::backend::cpu::TOUCHSTONE_ISA
