// What a warp does together on tensor cores, on the register layouts that the PTX manual documents
// (mma.m16n8k16 with 16-bit elements, mma.m16n8k8 with tf32, ldmatrix.x4). A device does not say in
// which order it adds; here it is the order of k, fused. Lane l has group l / 4 and place l % 4.
#include <array>
#include <bit>
#include <cmath>

#include "tests/cuda_emulator/device.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kRows = 16;
constexpr int kColumns = 8;
template <int K>
using MatrixA = std::array<std::array<float, K>, kRows>;
template <int K>
using MatrixB = std::array<std::array<float, kColumns>, K>;

/// a * b + c, rounded once. `kExact`: the product of two 16-bit elements is an f32.
template <bool kExact>
float fused(float a, float b, float c) {
  return kExact ? a * b + c : std::fma(a, b, c);
}

/// D's registers 0 and 1 are of row `group`, 2 and 3 of row `group` + 8, columns 2 * place and the
/// next.
template <int K, bool kExact>
void multiply(const MatrixA<K>& a, const MatrixB<K>& b, const std::array<float*, 32>& d) {
  const auto at = [&](size_t row, size_t column) -> float& {
    return d[row % 8 * 4 + column / 2][row / 8 * 2 + column % 2];
  };
  for (size_t row = 0; row < kRows; ++row) {
    std::array<float, kColumns> sums;
    for (size_t column = 0; column < kColumns; ++column) sums[column] = at(row, column);
    for (size_t k = 0; k < K; ++k) {
      for (size_t column = 0; column < kColumns; ++column) {
        sums[column] = fused<kExact>(a[row][k], b[k][column], sums[column]);
      }
    }
    for (size_t column = 0; column < kColumns; ++column) at(row, column) = sums[column];
  }
}

/// Register i of A: rows group and group + 8 in turn, columns 2 * place and the next of the left
/// half (0, 1), of the right half (2, 3). Of B: the same columns as rows, column `group`.
template <typename T>
void combine_mma16(void* const* lanes) {
  MatrixA<16> a;
  MatrixB<16> b;
  std::array<float*, 32> d = {};
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const Mma16Lanes*>(lanes[lane]);
    d[static_cast<size_t>(lane)] = mine.d;
    const size_t group = static_cast<size_t>(lane / 4);
    for (size_t half = 0; half < 2; ++half) {
      for (size_t i = 0; i < 2; ++i) {  // low 16 bits first
        const size_t k = half * 8 + static_cast<size_t>(lane % 4) * 2 + i;
        const auto element = [&](uint32_t word) {
          return to_float(T{static_cast<uint16_t>(word >> (16 * i))});
        };
        a[group][k] = element(mine.a[half * 2]);
        a[group + 8][k] = element(mine.a[half * 2 + 1]);
        b[k][group] = element(mine.b[half]);
      }
    }
  }
  multiply<16, true>(a, b, d);
}

}  // namespace

void combine_mma_bf16(void* const* lanes) { combine_mma16<BFloat16>(lanes); }
void combine_mma_f16(void* const* lanes) { combine_mma16<Half>(lanes); }

/// As above with columns `place` and `place` + 4.
void combine_mma_f32(void* const* lanes) {
  MatrixA<8> a;
  MatrixB<8> b;
  std::array<float*, 32> d = {};
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const Mma8Lanes*>(lanes[lane]);
    d[static_cast<size_t>(lane)] = mine.d;
    const size_t group = static_cast<size_t>(lane / 4);
    for (size_t half = 0; half < 2; ++half) {
      const size_t k = half * 4 + static_cast<size_t>(lane % 4);
      a[group][k] = mine.a[half * 2];
      a[group + 8][k] = mine.a[half * 2 + 1];
      b[k][group] = mine.b[half];
    }
  }
  multiply<8, false>(a, b, d);
}

/// Lane l gets elements 2 * place and the next of row `group` of each matrix; transposed, of column
/// `group`.
void combine_matrices(void* const* lanes) {
  const auto at = [&](int lane) -> MatrixLanes& { return *static_cast<MatrixLanes*>(lanes[lane]); };
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4;
    const int place = lane % 4 * 2;
    for (int matrix = 0; matrix < 4; ++matrix) {
      uint32_t word = 0;
      for (int i = 0; i < 2; ++i) {
        const uint32_t element = at(lane).transposed ? at(matrix * 8 + place + i).rows[group]
                                                     : at(matrix * 8 + group).rows[place + i];
        word |= element << (16 * i);
      }
      at(lane).registers[matrix] = word;
    }
  }
}

uint16_t float_to_f16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = bits >> 16 & 0x8000U;
  const float size = std::abs(x);
  if (!(size < 65520.0F)) {  // what would round to 65536, and NaN
    return static_cast<uint16_t>(sign | (std::isnan(x) ? 0x7E00U : 0x7C00U));
  }
  // Below 2^-14 the last bit is always 2^-24; above, ten bits behind the leading one are kept.
  if (size < 0x1p-14F) {
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(size * 0x1p24F)));
  }
  const uint32_t kept = (bits & 0x7FFFFFFFU) - (uint32_t{127 - 15} << 23);
  return static_cast<uint16_t>(sign | ((kept + 0xFFFU + ((kept >> 13) & 1U)) >> 13));
}

}  // namespace touchstone::backend::cuda
