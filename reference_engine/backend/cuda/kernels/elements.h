// The 16-bit element types as bits, for nvcc and for every other compiler.
#pragma once

#include <cstdint>

namespace touchstone::backend::cuda {

struct BFloat16 {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

/// 16 bytes of one type: what one thread moves at once.
template <typename T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / static_cast<int>(sizeof(T));
  T values[kSize];
};

/// Blocks of a grid.
struct Grid {
  int x = 1;
  int y = 1;
  int z = 1;
};

}  // namespace touchstone::backend::cuda
