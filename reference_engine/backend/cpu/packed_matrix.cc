#include "reference_engine/backend/cpu/packed_matrix.h"

#include <algorithm>
#include <iterator>
#include <type_traits>

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

const Gemm& gemm_for(const Kernels& kernels, Layout layout) {
  return layout == Layout::kFloat32    ? kernels.f32
         : layout == Layout::kBFloat16 ? kernels.bf16
                                       : kernels.pairs;
}

struct Job {
  const Gemm& gemm;
  const PackedMatrix& matrix;
  const std::byte* packed;  // see at()
  Tiling tiling;
  Rows c;
  Rounding rounding;

  /// A tile's activations from input `start` on.
  const std::byte* at(int64_t tile, int64_t start) const {
    return packed + (tiling.first(tile) * matrix.packed_k() + start * tiling.count(tile)) *
                        gemm.element_bytes;
  }
};

/// All rows against panels [first, last), K in parts that keep the sums' order.
void multiply_panels(const Job& job, int64_t first, int64_t last) {
  const PackedMatrix& matrix = job.matrix;
  const int64_t k = matrix.packed_k();
  const int64_t step_bytes = matrix.panel_bytes() / k;
  const bool one_tile = job.tiling.tiles == 1;
  const int64_t part = one_tile ? k : std::min(k, kPanelPartBytes / step_bytes);
  GemmTile tile;
  tile.panel_bytes = matrix.panel_bytes();
  tile.ldc = job.c.stride;
  const int64_t tiles_at_once = std::max<int64_t>(1, kRowsAtOnce / job.gemm.tile_rows);
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
          tile.a = job.at(t, start);
          tile.c = job.c.row(row) + panel * kPanelWidth;
          job.gemm.multiply(tile);
        }
      }
    }
  }
  if (job.gemm.release != nullptr) job.gemm.release();
}

}  // namespace

int64_t PackedMatrix::packed_k() const {
  return layout_ == Layout::kPairs ? (k_ + kChunk - 1) / kChunk * kChunk : k_;
}

int64_t PackedMatrix::panel_bytes() const {
  return packed_k() * kPanelWidth * (layout_ == Layout::kFloat32 ? 4 : 2);
}

Result<PackedMatrix> PackedMatrix::pack(std::span<const model::Tensor* const> parts,
                                        Storage storage, Rounding activations) {
  BASE_CHECK(!parts.empty());
  PackedMatrix matrix;
  matrix.layout_ = storage == Storage::kFloat32     ? Layout::kFloat32
                   : activations == Rounding::kNone ? Layout::kBFloat16
                                                    : Layout::kPairs;
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

void PackedMatrix::visit_row(std::byte* at, int64_t column, int64_t inputs,
                             const auto& visit) const {
  at += column / kPanelWidth * panel_bytes();
  const int64_t lane = column % kPanelWidth;
  const int64_t left = lane % 16;
  const int64_t half = lane / 16;
  auto* const floats = reinterpret_cast<float*>(at);
  auto* const words = reinterpret_cast<uint16_t*>(at);
  switch (layout_) {
    case Layout::kFloat32:
      for (int64_t i = 0; i < inputs; ++i) visit(i, floats[i * kPanelWidth + lane]);
      return;
    case Layout::kBFloat16:  // words are little-endian: the left column is in the low half
      for (int64_t i = 0; i < inputs; ++i) visit(i, words[i * kPanelWidth + left * 2 + half]);
      return;
    case Layout::kPairs:
      for (int64_t i = 0; i < inputs; ++i) {
        const int64_t chunk = i / kChunk * 2 + half;
        visit(i, words[chunk * kChunk * 16 + i % kChunk / 2 * 32 + left * 2 + i % 2]);
      }
      return;
  }
  BASE_CHECK(false, static_cast<int>(layout_));
}

void PackedMatrix::set_row(int64_t column, std::span<const float> values) {
  visit_row(buffer_.data(), column, std::ssize(values), [&](int64_t input, auto& weight) {
    const float value = values[static_cast<size_t>(input)];
    if constexpr (std::is_same_v<decltype(weight), float&>) {
      weight = value;
    } else {
      weight = model::float_to_bf16(value);
    }
  });
}

void PackedMatrix::read_row(int64_t row, std::span<float> out) const {
  auto* const weights = const_cast<std::byte*>(buffer_.data());  // which is only read
  visit_row(weights, row, std::ssize(out), [&](int64_t input, const auto& weight) {
    float& value = out[static_cast<size_t>(input)];
    if constexpr (std::is_same_v<decltype(weight), const float&>) {
      value = weight;
    } else {
      value = model::bf16_to_float(weight);
    }
  });
}

void matmul(const Kernels& kernels, ThreadPool& pool, const Rows& a, const PackedMatrix& matrix,
            const Rows& c, Rounding rounding, MatmulScratch& scratch) {
  if (a.rows == 0) return;
  BASE_CHECK(a.rows == c.rows && c.stride >= matrix.columns() && a.stride >= matrix.packed_k(),
             a.rows, " ", c.rows, " ", c.stride, " ", matrix.columns());
  const int64_t k = matrix.packed_k();
  const Gemm& gemm = gemm_for(kernels, matrix.layout());
  const Tiling tiling{(a.rows + gemm.tile_rows - 1) / gemm.tile_rows, a.rows};
  const auto* packed = reinterpret_cast<const std::byte*>(a.data);
  if (a.rows > 1 || gemm.element_bytes != sizeof(float)) {  // a single row is its own transpose
    scratch.packed.resize(static_cast<size_t>(a.rows * k * gemm.element_bytes));
    std::byte* out = scratch.packed.data();
    pool.run(tiling.tiles, [&](int64_t t, int) {
      gemm.pack(a.row(tiling.first(t)), a.stride, tiling.count(t), k,
                out + tiling.first(t) * k * gemm.element_bytes);
    });
    packed = out;
  }
  const Job job{gemm, matrix, packed, tiling, c, rounding};
  const int64_t chunks = (matrix.panels() + kPanelsAtOnce - 1) / kPanelsAtOnce;
  pool.run(chunks, [&](int64_t chunk, int) {
    multiply_panels(job, chunk * kPanelsAtOnce,
                    std::min(matrix.panels(), (chunk + 1) * kPanelsAtOnce));
  });
}

}  // namespace touchstone::backend::cpu
