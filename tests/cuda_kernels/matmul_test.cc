// matmul() and adapters against their definitions, and every number of rows against every other,
// bit for bit (INV-5).
#include "reference_engine/backend/cuda/kernels/matmul_tile.h"
#include "tests/cuda_kernels/kernel_fixture.h"

namespace touchstone::backend::cuda {
namespace {

int64_t round_up8(int64_t n) { return (n + 7) / 8 * 8; }

/// Values in rows of a stride, with garbage behind each row.
std::vector<float> with_stride(const std::vector<float>& values, int64_t width, int64_t stride) {
  std::vector<float> out;
  for (size_t i = 0; i < values.size(); i += static_cast<size_t>(width)) {
    for (int64_t j = 0; j < stride; ++j) {
      out.push_back(j < width ? values[i + static_cast<size_t>(j)] : NAN);
    }
  }
  return out;
}

struct Product3 {
  int64_t rows, columns, k;
};

/// Seeded by the place of each number, so that fewer rows are the first of more rows.
std::vector<float> multiply(Element element, const Product3& size, bool bias,
                            void (*function)(const Matmul&, Stream)) {
  const int64_t stride = round_up8(size.k);
  const auto in = random_values(element, static_cast<size_t>(size.rows * size.k), 1);
  const auto weight = random_values(element, static_cast<size_t>(size.columns * size.k), 2);
  Elements device_in(element, with_stride(in, size.k, stride), "in");
  Elements device_weight(element, with_stride(weight, size.k, stride), "weight");
  Elements biases(element, random_values(element, static_cast<size_t>(size.columns), 3), "bias");
  Elements out(element, std::vector<float>(static_cast<size_t>(size.rows * size.columns), -9),
               "out");
  expect_one_result({&out}, [&] {
    function({.element = element,
              .rows = size.rows,
              .columns = size.columns,
              .k = size.k,
              .in = device_in.bytes(),
              .in_stride = stride,
              .weight = device_weight.bytes(),
              .weight_stride = stride,
              .bias = bias ? biases.bytes() : nullptr,
              .out = out.bytes(),
              .out_stride = size.columns},
             nullptr);
  });
  return out.values();
}

void check_product(Element element, const Product3& size, bool bias) {
  const auto in = random_values(element, static_cast<size_t>(size.rows * size.k), 1);
  const auto weight = random_values(element, static_cast<size_t>(size.columns * size.k), 2);
  const auto biases = random_values(element, static_cast<size_t>(size.columns), 3);
  std::vector<float> want;
  for (int64_t r = 0; r < size.rows; ++r) {
    for (int64_t c = 0; c < size.columns; ++c) {
      double sum = bias ? biases[static_cast<size_t>(c)] : 0;
      for (int64_t k = 0; k < size.k; ++k) {
        sum += double{in[static_cast<size_t>(r * size.k + k)]} *
               weight[static_cast<size_t>(c * size.k + k)];
      }
      want.push_back(static_cast<float>(sum));
    }
  }
  const std::string what = std::to_string(size.rows) + " x " + std::to_string(size.columns) +
                           " x " + std::to_string(size.k);
  expect_near(multiply(element, size, bias, matmul), want, tolerance(element), what);
}

class MatmulTest : public KernelTest {};
TOUCHSTONE_FOR_ALL_ELEMENTS(MatmulTest);

TEST_P(MatmulTest, FewRows) {
  for (const int64_t rows : {1, 7, 8, 9, 16})
    check_product(GetParam(), {rows, 33, 72}, rows % 2 == 0);
  check_product(GetParam(), {3, 1, 1}, true);
  check_product(GetParam(), {2, 17, 60}, false);
  check_product(GetParam(), {2, 16, 1100}, false);
  check_product(GetParam(), {1, 5, 5000}, true);  // more slices than warps
}

TEST_P(MatmulTest, ManyRows) {
  check_product(GetParam(), {17, 33, 60}, true);
  check_product(GetParam(), {32, 130, 200}, false);
  check_product(GetParam(), {33, 31, 72}, false);
  check_product(GetParam(), {65, 129, 40}, true);
  check_product(GetParam(), {17, 3, 1100}, false);
}

TEST_P(MatmulTest, ByHand) {
  Elements in(GetParam(), {1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0});
  Elements weight(GetParam(), {1, 10, 0, 0, 0, 0, 0, 0});
  Elements bias(GetParam(), {0.5F});
  Elements out(GetParam(), {0, 0});
  matmul({.element = GetParam(),
          .rows = 2,
          .columns = 1,
          .k = 2,
          .in = in.bytes(),
          .in_stride = 8,
          .weight = weight.bytes(),
          .weight_stride = 8,
          .bias = bias.bytes(),
          .out = out.bytes(),
          .out_stride = 1},
         nullptr);
  EXPECT_EQ(out.values(), (std::vector<float>{21.5F, 43.5F}));
}

TEST_P(MatmulTest, EveryNumberOfRowsGivesTheSameBits) {
  const auto most = multiply(GetParam(), {70, 19, 1300}, true, matmul);
  for (const int64_t rows : {1, 8, 9, 16, 17, 40, 65}) {
    const std::vector<float> same(most.begin(), most.begin() + rows * 19);
    EXPECT_EQ(multiply(GetParam(), {rows, 19, 1300}, true, matmul), same) << rows << " rows";
    EXPECT_EQ(multiply(GetParam(), {rows, 19, 1300}, true, matmul_wide), same) << rows << " rows";
  }
}

TEST_P(MatmulTest, AdaptersOfEachRow) {
  constexpr int64_t kK = 72;
  constexpr int64_t kColumns = 33;
  constexpr int32_t kRank = 3;
  const std::vector<int32_t> adapters = {1, -1, 0, 1};
  const std::vector<float> scales = {2, 0.5F};
  const auto in = random_values(GetParam(), 4 * kK, 1);
  const auto a = random_values(GetParam(), 2 * kRank * kK, 2);
  const auto b = random_values(GetParam(), 2 * kColumns * kRank, 3);
  const auto before = random_values(GetParam(), 4 * kColumns, 4);
  Array<int32_t> device_adapters(adapters, "adapters");
  Array<float> device_scales(scales, "scales");
  Elements device_in(GetParam(), in, "in");
  Elements device_a(GetParam(), a, "a");
  Elements device_b(GetParam(), b, "b");
  Elements out(GetParam(), before, "out");
  DeviceMemory workspace(4 * kRank * sizeof(float), "workspace");
  expect_one_result({&out}, [&] {
    apply_lora({.element = GetParam(),
                .rows = 4,
                .columns = kColumns,
                .k = kK,
                .max_rank = kRank,
                .adapters = device_adapters.data(),
                .scales = device_scales.data(),
                .a = device_a.bytes(),
                .b = device_b.bytes(),
                .in = device_in.bytes(),
                .in_stride = kK,
                .out = out.bytes(),
                .out_stride = kColumns},
               reinterpret_cast<float*>(workspace.bytes()), nullptr);
  });
  std::vector<float> want = before;
  for (size_t row = 0; row < 4; ++row) {
    if (adapters[row] < 0) continue;
    const size_t slot = static_cast<size_t>(adapters[row]);
    for (size_t column = 0; column < kColumns; ++column) {
      double sum = 0;
      for (size_t rank = 0; rank < kRank; ++rank) {
        double inner = 0;
        for (size_t k = 0; k < kK; ++k)
          inner += double{in[row * kK + k]} * a[(slot * kRank + rank) * kK + k];
        sum += inner * b[(slot * kColumns + column) * kRank + rank];
      }
      want[row * kColumns + column] += static_cast<float>(scales[slot] * sum);
    }
  }
  expect_near(out.values(), want, tolerance(GetParam()), "adapters");
  for (size_t i = kColumns; i < 2 * kColumns; ++i) EXPECT_EQ(out[i], before[i]) << "no adapter";
}

}  // namespace
}  // namespace touchstone::backend::cuda
