// Compiled with instruction-set flags (CMakeLists.txt); called only when the processor has them.
// Eight tiles of up to 16 rows of 64 bytes. A product needs tiles of sums (16 rows, 16 columns),
// of activations (16 rows, 32 inputs) and of weights (16 pairs of inputs, 16 columns).
#if defined(__x86_64__)
#define TOUCHSTONE_ISA amx
#define TOUCHSTONE_ISA_AVX512
#include <cstddef>
#include <cstdint>

#include "reference_engine/backend/cpu/kernels.h"
#include "reference_engine/backend/cpu/vec16.h"

namespace touchstone::backend::cpu {
namespace amx {

constexpr int kTileRows = 16;
constexpr int kRows = 2 * kTileRows;
constexpr int64_t kTileBytes = kTileRows * 64;
constexpr int64_t kChunkBytes = 2 * kTileBytes;  // of a panel: its left and its right half
constexpr int64_t kLine = 64;

/// Layout of LDTILECFG's operand, palette 1.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

/// GCC's tile functions do not say which memory they read and write: all of it, says this.
TOUCHSTONE_INLINE void settle() { __asm__ volatile("" : : : "memory"); }

/// For tiles of how many rows this thread's tiles are set; 0: they are not in use.
thread_local int configured_rows = 0;

/// Tiles 0 to 3: sums; 4, 5: activations; 6, 7: weights. With at most 16 rows two panels are
/// computed side by side, with more the rows are two tiles; either way four sums are under way.
void configure(int rows) {
  if (rows == configured_rows) return;
  configured_rows = rows;
  const int first = rows < kTileRows ? rows : kTileRows;
  const int second = rows > kTileRows ? rows - kTileRows : first;
  const int tile_rows[8] = {first, first, second, second, first, second, kTileRows, kTileRows};
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = static_cast<uint8_t>(tile_rows[i]);
  }
  settle();
  _tile_loadconfig(&config);
}

TOUCHSTONE_INLINE void prefetch(const std::byte* b, int64_t distance) {
  if (distance == 0) return;
#pragma GCC unroll 32
  for (int64_t line = 0; line < kChunkBytes; line += kLine) __builtin_prefetch(b + distance + line);
}

TOUCHSTONE_INLINE void round_panel(const GemmTile& t, float* c) {
  settle();
  if (t.rounding == Rounding::kNone) return;
  for (int r = 0; r < t.rows; ++r) {
    float* row = c + r * t.ldc;
    store(row, round_to_bf16(load(row)));
    store(row + 16, round_to_bf16(load(row + 16)));
  }
}

/// The sums so far, or zeros: tiles 0 and 1 are of 32 columns from `first` on, 2 and 3 from
/// `second` on, where there is one.
TOUCHSTONE_INLINE void begin_sums(const GemmTile& t, const float* first, const float* second) {
  const int64_t ldc = t.ldc * 4;
  if (t.accumulate) {
    _tile_loadd(0, first, ldc);
    _tile_loadd(1, first + 16, ldc);
    if (second == nullptr) return;
    _tile_loadd(2, second, ldc);
    _tile_loadd(3, second + 16, ldc);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if (second == nullptr) return;
    _tile_zero(2);
    _tile_zero(3);
  }
}

TOUCHSTONE_INLINE void end_sums(const GemmTile& t, float* first, float* second) {
  const int64_t ldc = t.ldc * 4;
  _tile_stored(0, first, ldc);
  _tile_stored(1, first + 16, ldc);
  if (second == nullptr) return;
  _tile_stored(2, second, ldc);
  _tile_stored(3, second + 16, ldc);
}

/// More than 16 rows by one panel.
void tall(const GemmTile& t, const std::byte* b, float* c) {
  float* const below = c + kTileRows * t.ldc;
  begin_sums(t, c, below);
  const auto* a = static_cast<const std::byte*>(t.a);
  for (int64_t k = 0; k < t.k; k += kChunk) {
    prefetch(b, t.prefetch_bytes);
    _tile_loadd(6, b, 64);
    _tile_loadd(4, a, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, a + kTileBytes, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
    a += t.rows * kLine;
    b += kChunkBytes;
  }
  end_sums(t, c, below);
  round_panel(t, c);
}

/// At most 16 rows by one panel, or by it and the next.
template <bool Two>
TOUCHSTONE_INLINE void flat(const GemmTile& t, const std::byte* b, float* c) {
  float* const beside = Two ? c + kPanelWidth : nullptr;
  begin_sums(t, c, beside);
  const auto* a = static_cast<const std::byte*>(t.a);
  for (int64_t k = 0; k < t.k; k += kChunk) {
    prefetch(b, t.prefetch_bytes);
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (Two) {
      const std::byte* next = b + t.panel_bytes;
      prefetch(next, t.prefetch_bytes);
      _tile_loadd(6, next, 64);
      _tile_dpbf16ps(2, 4, 6);
      _tile_loadd(7, next + kTileBytes, 64);
      _tile_dpbf16ps(3, 4, 7);
    }
    a += t.rows * kLine;
    b += kChunkBytes;
  }
  end_sums(t, c, beside);
  round_panel(t, c);
  if constexpr (Two) round_panel(t, beside);
}

void multiply(const GemmTile& t) {
  configure(t.rows);
  settle();
  const auto* b = static_cast<const std::byte*>(t.b);
  int panel = 0;
  const auto at = [&](int index) { return b + index * t.panel_bytes; };
  if (t.rows > kTileRows) {
    for (; panel < t.panels; ++panel) tall(t, at(panel), t.c + panel * kPanelWidth);
  } else {
    for (; panel + 2 <= t.panels; panel += 2) flat<true>(t, at(panel), t.c + panel * kPanelWidth);
    if (panel < t.panels) flat<false>(t, at(panel), t.c + panel * kPanelWidth);
  }
}

/// Tiles in use are saved whenever the thread is switched.
void release() {
  _tile_release();
  configured_rows = 0;
}

/// (k / 32, count, 32) bf16.
void pack(const float* rows, int64_t stride, int count, int64_t k, void* out) {
  for (int64_t i = 0; i < k; i += kChunk) {
    for (int r = 0; r < count; ++r) {
      const float* in = rows + r * stride + i;
      auto* packed = static_cast<uint16_t*>(out) + i * count + r * kChunk;
      for (int half = 0; half < kChunk; half += 16) {
        const __m512i bits = _mm512_castps_si512(load(in + half).v);
        const __m256i words = _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(packed + half), words);
      }
    }
  }
}

}  // namespace amx

const Kernels* amx_kernels() {
  static const Kernels kKernels = [] {
    Kernels kernels = *avx512_kernels();
    kernels.name = "amx";
    kernels.pairs = {amx::kRows, 2, amx::pack, amx::multiply, amx::release};
    return kernels;
  }();
  return &kKernels;
}

}  // namespace touchstone::backend::cpu
#else
#include "reference_engine/backend/cpu/kernels.h"

namespace touchstone::backend::cpu {

const Kernels* amx_kernels() { return nullptr; }

}  // namespace touchstone::backend::cpu
#endif
