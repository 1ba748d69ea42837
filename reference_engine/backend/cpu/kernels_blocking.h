// How products use the registers of each instruction set. Part of kernels_impl.h.
#pragma once

#include "reference_engine/backend/cpu/vec16.h"

namespace touchstone::backend::cpu::TOUCHSTONE_ISA {

// Register blocking. A tile of R rows holds R * P * V accumulators, where P panels go side by side
// and V is the number of vectors taken of each panel at a time. With V = 1 a panel is done in two
// passes, its left and its right half. Products by pairs have two sums for each output: tiles of
// few rows hold both in registers, others compute one after the other, whichever was faster.
#if defined(TOUCHSTONE_ISA_AVX512)
constexpr int kTileRows = 14;  // 14 * 2 accumulators + 2 weights + 1 activation: 31 of 32
constexpr int kPairRows = 7;
constexpr int kVectors = 2;
constexpr int kAccumulators = 28;
constexpr int kMaxPanels = 4;
#elif defined(TOUCHSTONE_ISA_AVX2)
constexpr int kTileRows = 6;  // 6 * 2 registers + 2 + 1: 15 of 16
constexpr int kPairRows = 6;
constexpr int kVectors = 1;
constexpr int kAccumulators = 6;
constexpr int kMaxPanels = 4;
#else
constexpr int kTileRows = 4;
constexpr int kPairRows = 4;
constexpr int kVectors = 1;
constexpr int kAccumulators = 4;
constexpr int kMaxPanels = 1;
#endif

constexpr int smaller(int a, int b) { return a < b ? a : b; }
constexpr int larger(int a, int b) { return a > b ? a : b; }
/// Panels side by side, so that few rows still give enough independent sums to hide latency.
constexpr int panels_at_once(int rows) {
  return larger(1, smaller(kMaxPanels, kAccumulators / (rows * kVectors)));
}

}  // namespace touchstone::backend::cpu::TOUCHSTONE_ISA
