// Rows in pieces of one Pack. Device code.
#pragma once

#include <cstdint>

#include "reference_engine/backend/cuda/kernels/device.h"

namespace touchstone::backend::cuda {

/// Elements [first, first + Pack<T>::kSize) of a row; zeros from `width` on. `packed`: the row is
/// aligned and `width` whole packs.
template <typename T>
TOUCHSTONE_DEVICE Pack<T> load_some(const T* row, int64_t first, int64_t width, bool packed) {
  if (packed) return load_pack(row + first);
  Pack<T> pack;
  TOUCHSTONE_UNROLL
  for (int i = 0; i < Pack<T>::kSize; ++i) {
    pack.values[i] = first + i < width ? load(row + first + i) : from_float<T>(0.0F);
  }
  return pack;
}

template <typename T>
TOUCHSTONE_DEVICE void store_some(T* row, int64_t first, int64_t width, bool packed,
                                  const Pack<T>& pack) {
  if (packed) {
    store_pack(row + first, pack);
    return;
  }
  TOUCHSTONE_UNROLL
  for (int i = 0; i < Pack<T>::kSize; ++i) {
    if (first + i < width) store(row + first + i, pack.values[i]);
  }
}

}  // namespace touchstone::backend::cuda
