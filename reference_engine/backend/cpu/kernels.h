// The arithmetic of the CPU backend, one table of functions for each instruction set. All
// tables give equal bits for equal arguments (vec16.h says how), and each output element is a sum
// in a fixed order that no argument but its own row and column changes: that is batch invariance
// (INV-5) by construction. Thread-safe: pure functions of their arguments.
//
// Letters: M rows (tokens), N output features, K input features. Rows of activations are f32 with
// a leading dimension that is a multiple of 32; columns beyond the true width hold zeros.
#pragma once

#include <cstdint>

namespace touchstone::backend::cpu {

/// Output features of one panel of packed weights.
inline constexpr int kPanelWidth = 32;
/// Positions of one group of cached keys.
inline constexpr int kKeyGroup = 16;

/// Inputs whose products are added before they join a sum, where both factors are bf16.
inline constexpr int kChunk = 32;

/// How packed weights and cached keys and values are stored.
enum class Storage { kFloat32, kBFloat16 };

/// What becomes of a result before it is stored.
enum class Rounding { kNone, kBFloat16 };

/// C[rows][panels * 32] (+)= A[rows][k] · B, one tile of rows against consecutive panels.
struct GemmTile {
  const void* a = nullptr;  ///< the tile's rows as Gemm::pack left them
  int rows = 0;             ///< in [1, Gemm::tile_rows]
  /// Points at the first step of the first panel, see Gemm.
  const void* b = nullptr;
  int64_t panel_bytes = 0;  ///< from one panel to the next
  int panels = 0;
  int64_t k = 0;
  float* c = nullptr;  ///< first element of the tile's first panel
  int64_t ldc = 0;
  bool accumulate = false;  ///< continue the sums that are in C (a later part of K)
  Rounding rounding = Rounding::kNone;
  /// Each step asks the caches for what lies this far behind its own weights; 0: for nothing.
  int64_t prefetch_bytes = 0;
};

/// A product with weights of one layout, which also says in which order sums are taken:
///
/// * `f32`: panels of (K, 32) f32; one multiply-add after the other along K.
/// * `bf16`: the same order; 16 words a step, word j = column j | column 16 + j << 16.
/// * `pairs`: bf16 weights and activations that hold bf16 values. K in chunks of 32: products at
///   even and at odd inputs are added apart, then both to the sum, as the matrix instruction
///   TDPBF16PS does; what is smaller than the least normal number counts as zero. A panel is (K /
///   32, 2 halves, 16 pairs, 16 columns) words of an even (low) and an odd (high) input's weight.
struct Gemm {
  int tile_rows = 0;      ///< most rows of a GemmTile
  int element_bytes = 0;  ///< of one packed activation
  /// `count` rows of `k` activations into count * k elements; parts of K that start at a multiple
  /// of kChunk lie one behind the other.
  void (*pack)(const float* rows, int64_t stride, int count, int64_t k, void* out) = nullptr;
  void (*multiply)(const GemmTile&) = nullptr;
  /// Where it is set, a thread calls it after its last product: what it holds for them goes.
  void (*release)() = nullptr;
};

/// One tile of query rows that share a KV head, against that head's cache.
struct AttendTile {
  Storage storage = Storage::kFloat32;
  int rows = 0;                           ///< in [1, kAttendRows]
  const float* const* queries = nullptr;  ///< per row (head_dim) f32
  float* const* outputs = nullptr;        ///< per row (head_dim) f32
  /// Per row: attends to positions [first, length). Neither decreases, and first < length. Blocks
  /// of the table that lie wholly before the first row's first position are not touched.
  const int32_t* firsts = nullptr;
  const int32_t* lengths = nullptr;
  const int32_t* block_table = nullptr;
  int32_t block_size = 0;
  int32_t head_dim = 0;
  /// This layer's and head's part of block 0; the next block lies block_bytes behind.
  /// Keys: (ceil(block_size / 16), head_dim, 16); values: (block_size, padded head_dim).
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  int64_t block_bytes = 0;
  float scale = 0;
  Rounding rounding = Rounding::kNone;  ///< of the outputs
  /// (rows, score_stride) f32, score_stride >= last length + 32; and 2 * rows * padded head_dim.
  float* scores = nullptr;
  int64_t score_stride = 0;
  float* packed = nullptr;
};

/// Rows of an AttendTile.
inline constexpr int kAttendRows = 8;

struct Kernels {
  const char* name = nullptr;  ///< "amx", "avx512", "avx2", "portable"
  Gemm f32;
  Gemm bf16;
  Gemm pairs;
  void (*attend)(const AttendTile&) = nullptr;
  /// residual += x (when x is not null); out = residual / rms(residual) * weight, over `width` true
  /// columns of padded rows. Rounded: the residual and the result; the norm sees the sum before it
  /// is rounded.
  void (*add_rms_norm)(float* residual, const float* x, const float* weight, int64_t width,
                       float eps, Rounding rounding, float* out) = nullptr;
  /// The same with out = (sum - mean) / deviation * weight + bias; `bias` (padded width), zeros
  /// where there is none.
  void (*add_layer_norm)(float* residual, const float* x, const float* weight, const float* bias,
                         int64_t width, float eps, Rounding rounding, float* out) = nullptr;
  /// row += bias, over `columns` (a multiple of 16).
  void (*add_bias)(float* row, const float* bias, int64_t columns, Rounding rounding) = nullptr;
  /// row += scale * x, fused, over `columns` (a multiple of 16).
  void (*add_scaled)(float* row, const float* x, float scale, int64_t columns,
                     Rounding rounding) = nullptr;
  /// row = max(row, 0), over `columns` (a multiple of 16).
  void (*relu)(float* row, int64_t columns) = nullptr;
  /// out = silu(gate) * up; rounded after both steps.
  void (*silu_mul)(const float* gate, const float* up, int64_t width, Rounding rounding,
                   float* out) = nullptr;
};

const Kernels& portable_kernels();
/// Null when this build has none (another processor family).
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
/// Those of avx512 but for `pairs`, which are matrix instructions.
const Kernels* amx_kernels();

}  // namespace touchstone::backend::cpu
