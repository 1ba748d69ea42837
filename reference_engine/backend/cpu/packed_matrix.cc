#include "reference_engine/backend/cpu/packed_matrix.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace touchstone::backend::cpu {
namespace {

// A panel's part of this many bytes stays in the first-level cache while all rows pass over it.
constexpr int64_t kPanelPartBytes = 64 * 1024;
// This many rows of one part of K stay in the second-level cache while all panels pass over them.
constexpr int64_t kRowsAtOnce = 252;
// How far ahead of its use a panel is prefetched while it streams from memory.
constexpr int64_t kPrefetchBytes = 1024;
// Panels that one thread takes at a time: enough to stream, few enough to share evenly.
constexpr int64_t kPanelsAtOnce = 4;

/// How M rows are cut into tiles: sizes differ by at most one.
struct Tiling {
  int64_t tiles;
  int64_t rows;
  int64_t first(int64_t tile) const { return tile * rows / tiles; }
  int count(int64_t tile) const { return static_cast<int>(first(tile + 1) - first(tile)); }
};

/// Transposes one tile of `a` into (k, rows of the tile).
void pack_tile(const Rows& a, int64_t first, int count, int64_t k, float* out) {
  for (int r = 0; r < count; ++r) {
    const float* row = a.row(first + r);
    for (int64_t i = 0; i < k; ++i) out[i * count + r] = row[i];
  }
}

struct Job {
  const Kernels& kernels;
  const PackedMatrix& matrix;
  const float* packed;  // tile t at packed + first(t) * k
  Tiling tiling;
  Rows c;
  Rounding rounding;
};

/// All rows against panels [first, last), K in parts that keep the sums' order.
void multiply_panels(const Job& job, int64_t first, int64_t last) {
  const PackedMatrix& matrix = job.matrix;
  const int64_t k = matrix.k();
  const int64_t step_bytes = matrix.panel_bytes() / k;
  const bool one_tile = job.tiling.tiles == 1;
  const int64_t part = one_tile ? k : std::min(k, kPanelPartBytes / step_bytes);
  const auto gemm =
      matrix.storage() == Storage::kFloat32 ? job.kernels.gemm_f32 : job.kernels.gemm_bf16;
  GemmTile tile;
  tile.panel_bytes = matrix.panel_bytes();
  tile.ldc = job.c.stride;
  const int64_t tiles_at_once = std::max<int64_t>(1, kRowsAtOnce / job.kernels.tile_rows);
  for (int64_t group = 0; group < job.tiling.tiles; group += tiles_at_once) {
    const int64_t group_end = std::min(job.tiling.tiles, group + tiles_at_once);
    for (int64_t start = 0; start < k; start += part) {
      tile.k = std::min(part, k - start);
      tile.accumulate = start > 0;
      tile.rounding = start + tile.k == k ? job.rounding : Rounding::kNone;
      tile.panels = one_tile ? static_cast<int>(last - first) : 1;
      for (int64_t panel = first; panel < last; panel += tile.panels) {
        tile.b = matrix.panel(panel) + start * step_bytes;
        for (int64_t t = group; t < group_end; ++t) {
          // The last tile's pass, which finds its own part in the cache, fetches the next panel's.
          tile.prefetch_bytes = one_tile             ? kPrefetchBytes
                                : t + 1 == group_end ? tile.panel_bytes
                                                     : 0;
          const int64_t row = job.tiling.first(t);
          tile.rows = job.tiling.count(t);
          tile.a = job.packed + row * k + start * tile.rows;
          tile.c = job.c.row(row) + panel * kPanelWidth;
          gemm(tile);
        }
      }
    }
  }
}

}  // namespace

int64_t PackedMatrix::panel_bytes() const {
  return k_ * kPanelWidth * (storage_ == Storage::kFloat32 ? 4 : 2);
}

Result<PackedMatrix> PackedMatrix::pack(std::span<const model::Tensor* const> parts,
                                        Storage storage) {
  BASE_CHECK(!parts.empty());
  PackedMatrix matrix;
  matrix.storage_ = storage;
  matrix.k_ = parts[0]->shape[1];
  for (const model::Tensor* part : parts) {
    BASE_CHECK(part->shape.size() == 2 && part->shape[1] == matrix.k_,
               model::to_string(part->shape), " k=", matrix.k_);
    matrix.panels_ += padded(part->shape[0]) / kPanelWidth;
  }
  auto buffer = Buffer::make(matrix.panels_ * matrix.panel_bytes(), "weights");
  if (!buffer) return std::move(buffer).error();
  matrix.buffer_ = *std::move(buffer);
  std::vector<float> row(static_cast<size_t>(matrix.k_));
  int64_t column = 0;
  for (const model::Tensor* part : parts) {
    for (int64_t i = 0; i < part->shape[0]; ++i) {
      model::read_floats(*part, i * matrix.k_, row);
      matrix.set_row(column + i, row);
    }
    column += padded(part->shape[0]);
  }
  return matrix;
}

void PackedMatrix::set_row(int64_t column, std::span<const float> values) {
  std::byte* at = buffer_.data() + column / kPanelWidth * panel_bytes();
  const int64_t lane = column % kPanelWidth;
  if (storage_ == Storage::kFloat32) {
    float* out = reinterpret_cast<float*>(at) + lane;
    for (size_t i = 0; i < values.size(); ++i) out[i * kPanelWidth] = values[i];
    return;
  }
  // Column j and column 16 + j share a 32-bit word, the left one in the low half: little-endian.
  uint16_t* out = reinterpret_cast<uint16_t*>(at) + lane % 16 * 2 + lane / 16;
  for (size_t i = 0; i < values.size(); ++i) out[i * kPanelWidth] = model::float_to_bf16(values[i]);
}

void PackedMatrix::read_row(int64_t row, std::span<float> out) const {
  const std::byte* at = panel(row / kPanelWidth);
  const int64_t lane = row % kPanelWidth;
  if (storage_ == Storage::kFloat32) {
    const float* in = reinterpret_cast<const float*>(at) + lane;
    for (size_t i = 0; i < out.size(); ++i) out[i] = in[i * kPanelWidth];
    return;
  }
  const uint16_t* in = reinterpret_cast<const uint16_t*>(at) + lane % 16 * 2 + lane / 16;
  for (size_t i = 0; i < out.size(); ++i) out[i] = model::bf16_to_float(in[i * kPanelWidth]);
}

void matmul(const Kernels& kernels, ThreadPool& pool, const Rows& a, const PackedMatrix& matrix,
            const Rows& c, Rounding rounding, MatmulScratch& scratch) {
  if (a.rows == 0) return;
  BASE_CHECK(a.rows == c.rows && c.stride >= matrix.columns() && a.stride >= matrix.k(), a.rows,
             " ", c.rows, " ", c.stride, " ", matrix.columns());
  const int64_t k = matrix.k();
  Tiling tiling{(a.rows + kernels.tile_rows - 1) / kernels.tile_rows, a.rows};
  const float* packed = a.data;  // a single row is its own transpose
  if (a.rows > 1) {
    scratch.packed.resize(static_cast<size_t>(a.rows * k));
    float* out = scratch.packed.data();
    pool.run(tiling.tiles, [&](int64_t t, int) {
      pack_tile(a, tiling.first(t), tiling.count(t), k, out + tiling.first(t) * k);
    });
    packed = out;
  }
  const Job job{kernels, matrix, packed, tiling, c, rounding};
  const int64_t chunks = (matrix.panels() + kPanelsAtOnce - 1) / kPanelsAtOnce;
  pool.run(chunks, [&](int64_t chunk, int) {
    multiply_panels(job, chunk * kPanelsAtOnce,
                    std::min(matrix.panels(), (chunk + 1) * kPanelsAtOnce));
  });
}

}  // namespace touchstone::backend::cpu
