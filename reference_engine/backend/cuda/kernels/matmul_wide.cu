// Many rows: tiles of features and rows in shared memory, three stages of asynchronous copies, each
// warp a part of the tile. The slices of K are added in order, as in matmul_narrow.cu.
#include "reference_engine/backend/cuda/kernels.h"
#include "reference_engine/backend/cuda/kernels/dispatch.h"
#include "reference_engine/backend/cuda/kernels/matmul_tile.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kStages = 3;

/// Element [row][k] of a part of a tile with so many rows. A row's chunks lie apart, so that two
/// rows of one chunk, which eight lanes read at once, fill all banks.
template <typename T>
TOUCHSTONE_DEVICE int element_at(int rows, int row, int k) {
  return (k / Chunk<T>::kK * rows + row) * Chunk<T>::kK + k % Chunk<T>::kK;
}

/// A warp has 16 * kFeatureTiles features by 32 rows; kRowWarps of the warps stand side by side.
template <typename T, int kFeatureTiles, int kRowWarps>
struct Tile {
  static constexpr int kChunks = 2;  // of K in one stage
  static constexpr int kK = kChunks * Chunk<T>::kK;
  static constexpr int kFeatures = 16 * kFeatureTiles * (kWarps / kRowWarps);
  static constexpr int kRows = 32 * kRowWarps;
  static constexpr int kRowTiles = 4;
  static constexpr int kStageElements = (kFeatures + kRows) * kK;
  static constexpr int kBytes = kStages * kStageElements * static_cast<int>(sizeof(T));

  Product slice[kFeatureTiles][kRowTiles];
  Product total[kFeatureTiles][kRowTiles];

  TOUCHSTONE_DEVICE_MEMBER void clear_slice() {
    TOUCHSTONE_UNROLL
    for (int f = 0; f < kFeatureTiles; ++f) {
      TOUCHSTONE_UNROLL
      for (int r = 0; r < kRowTiles; ++r) slice[f][r] = {{0.0F, 0.0F, 0.0F, 0.0F}};
    }
  }
  TOUCHSTONE_DEVICE_MEMBER void add_slice() {
    TOUCHSTONE_UNROLL
    for (int f = 0; f < kFeatureTiles; ++f) {
      TOUCHSTONE_UNROLL
      for (int r = 0; r < kRowTiles; ++r) {
        TOUCHSTONE_UNROLL
        for (int i = 0; i < 4; ++i) total[f][r].d[i] += slice[f][r].d[i];
      }
    }
  }

  /// Where this warp's part of the tile begins.
  static TOUCHSTONE_DEVICE_MEMBER int warp_feature() {
    return warp() / kRowWarps * 16 * kFeatureTiles;
  }
  static TOUCHSTONE_DEVICE_MEMBER int warp_row() { return warp() % kRowWarps * 32; }

  TOUCHSTONE_DEVICE_MEMBER void multiply(const Shared<T>& features, const Shared<T>& rows) {
    TOUCHSTONE_UNROLL
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int k = chunk * Chunk<T>::kK + fragment_place() * Pack<T>::kSize;
      Pack<T> columns[kRowTiles];
      TOUCHSTONE_UNROLL
      for (int r = 0; r < kRowTiles; ++r) {
        const int row = warp_row() + 8 * r + fragment_group();
        columns[r] = load_pack(rows, element_at<T>(kRows, row, k));
      }
      TOUCHSTONE_UNROLL
      for (int f = 0; f < kFeatureTiles; ++f) {
        const int feature = warp_feature() + 16 * f + fragment_group();
        const Pack<T> upper = load_pack(features, element_at<T>(kFeatures, feature, k));
        const Pack<T> lower = load_pack(features, element_at<T>(kFeatures, feature + 8, k));
        TOUCHSTONE_UNROLL
        for (int r = 0; r < kRowTiles; ++r) {
          Chunk<T>::multiply(slice[f][r], upper, lower, columns[r]);
        }
      }
    }
  }
};

/// Starts to copy [first_row, first_row + kRows) by [k, k + kK) of a matrix; zeros outside of it.
template <typename T, int kRows, int kK>
TOUCHSTONE_DEVICE void copy_part(const void* matrix, int64_t stride, int64_t rows, int64_t width,
                                 int64_t first_row, int64_t k, const Shared<T>& tile) {
  constexpr int kPack = Pack<T>::kSize;
  constexpr int kPacks = kK / kPack;
  for (int i = thread_index(); i < kRows * kPacks; i += kThreads) {
    const int64_t row = first_row + i / kPacks;
    const int64_t column = k + i % kPacks * kPack;
    const int at = element_at<T>(kRows, i / kPacks, i % kPacks * kPack);
    if (row < rows && column < width && column + kPack > width) {  // the end of a row, if uneven
      store_pack(tile, at, load_matrix<T>(matrix, stride, rows, width, row, column));
      continue;
    }
    const bool valid = row < rows && column < width;
    const T* from = static_cast<const T*>(matrix) + (valid ? row * stride + column : 0);
    copy_async(tile, at, from, valid);
  }
}

template <typename T, int kFeatureTiles, int kRowWarps>
TOUCHSTONE_KERNEL TOUCHSTONE_BOUNDS(kThreads, 1) wide_kernel(const Matmul args) {
  using Part = Tile<T, kFeatureTiles, kRowWarps>;
  static_assert(kMatmulSlice % Part::kK == 0);
  const int64_t first_feature = int64_t{block_index().x} * Part::kFeatures;
  const int64_t first_row = int64_t{block_index().y} * Part::kRows;
  const Shared<T> stages = dynamic_shared<T>(0, kStages * Part::kStageElements);
  const auto features = [&](int64_t step) {
    const int stage = static_cast<int>(step % kStages);
    return stages.part(stage * Part::kStageElements, Part::kFeatures * Part::kK);
  };
  const auto rows = [&](int64_t step) {
    const int stage = static_cast<int>(step % kStages);
    return stages.part(stage * Part::kStageElements + Part::kFeatures * Part::kK,
                       Part::kRows * Part::kK);
  };
  const int64_t steps = (args.k + Part::kK - 1) / Part::kK;
  const auto start_copy = [&](int64_t step) {
    if (step < steps) {
      copy_part<T, Part::kFeatures, Part::kK>(args.weight, args.weight_stride, args.columns, args.k,
                                              first_feature, step * Part::kK, features(step));
      copy_part<T, Part::kRows, Part::kK>(args.in, args.in_stride, args.rows, args.k, first_row,
                                          step * Part::kK, rows(step));
    }
    copy_async_commit();
  };
  Part part = {};
  TOUCHSTONE_UNROLL
  for (int step = 0; step < kStages - 1; ++step) start_copy(step);
  for (int64_t step = 0; step < steps; ++step) {
    if (step * Part::kK % kMatmulSlice == 0) part.clear_slice();
    copy_async_wait<kStages - 2>();
    sync_block();
    start_copy(step + kStages - 1);  // over the stage that all have left
    part.multiply(features(step), rows(step));
    if ((step + 1) * Part::kK % kMatmulSlice == 0 || step + 1 == steps) part.add_slice();
  }
  copy_async_wait<0>();
  TOUCHSTONE_UNROLL
  for (int f = 0; f < kFeatureTiles; ++f) {
    TOUCHSTONE_UNROLL
    for (int r = 0; r < Part::kRowTiles; ++r) {
      TOUCHSTONE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int64_t feature =
            first_feature + Part::warp_feature() + 16 * f + fragment_group() + i / 2 * 8;
        const int64_t row = first_row + Part::warp_row() + 8 * r + 2 * fragment_place() + i % 2;
        store_output<T>(args, row, feature, part.total[f][r].d[i]);
      }
    }
  }
}

template <typename T, int kFeatureTiles, int kRowWarps>
void launch_wide(const Matmul& args, Stream stream) {
  using Part = Tile<T, kFeatureTiles, kRowWarps>;
  launch("matmul_wide", wide_kernel<T, kFeatureTiles, kRowWarps>,
         {ceil_div(args.columns, Part::kFeatures), ceil_div(args.rows, Part::kRows), 1}, kThreads,
         Part::kBytes, stream, args);
}

}  // namespace

void matmul_wide(const Matmul& args, Stream stream) {
  with_element(args.element, [&](auto zero) {
    using T = decltype(zero);
    if (args.rows <= 32) {
      launch_wide<T, 1, 1>(args, stream);
    } else if (args.rows <= 64 || args.element == Element::kFloat32) {  // f32 lacks the registers
      launch_wide<T, 2, 2>(args, stream);
    } else if constexpr (sizeof(T) == 2) {
      launch_wide<T, 4, 4>(args, stream);
    }
  });
}

}  // namespace touchstone::backend::cuda
