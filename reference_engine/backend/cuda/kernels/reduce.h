// Sums and maxima over a warp or a block, always in one order: lanes in a butterfly, then the warps
// one after the other. So a result depends on the values of the threads alone.
#pragma once

#include "reference_engine/backend/cuda/kernels/device.h"

namespace touchstone::backend::cuda {

struct Plus {
  template <typename T>
  static TOUCHSTONE_DEVICE_MEMBER T of(T a, T b) {
    return a + b;
  }
};
struct Larger {
  template <typename T>
  static TOUCHSTONE_DEVICE_MEMBER T of(T a, T b) {
    return a > b ? a : b;
  }
};

/// All lanes get the result.
template <typename Op, typename T>
TOUCHSTONE_DEVICE T reduce_warp(T value) {
  TOUCHSTONE_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) value = Op::of(value, shuffle_xor(value, mask));
  return value;
}

/// All threads get the result. `scratch`: an element for each warp, free for others afterwards.
template <typename Op, typename T>
TOUCHSTONE_DEVICE T reduce_block(T value, const Shared<T>& scratch) {
  value = reduce_warp<Op>(value);
  if (lane() == 0) scratch[warp()] = value;
  sync_block();
  T result = scratch[0];
  for (int i = 1; i < block_threads() / 32; ++i) {
    const T next = scratch[i];
    result = Op::of(result, next);
  }
  sync_block();
  return result;
}

}  // namespace touchstone::backend::cuda
