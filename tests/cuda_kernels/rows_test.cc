// Embedding, norms, biases, activations and gathers against their definitions.
#include <cmath>

#include "tests/cuda_kernels/kernel_fixture.h"

namespace touchstone::backend::cuda {
namespace {

class Rows : public KernelTest {};
TOUCHSTONE_FOR_ALL_ELEMENTS(Rows);

// A single column, one short of and one more than a warp's or a pack's, and more than one pass of
// all threads.
const std::vector<int64_t> kWidths = {1, 8, 31, 33, 72, 2056, 2100};

TEST_P(Rows, EmbeddingTakesTheTokensRow) {
  Elements table(GetParam(), {0, 1, 10, 11, 20, 21, 30, 31});
  Array<int32_t> tokens({3, 0, -2});
  Array<int32_t> latest({9, 2});
  Elements out(GetParam(), std::vector<float>(9, -1));
  expect_one_result({&out}, [&] {
    embed({.element = GetParam(),
           .rows = 3,
           .width = 2,
           .tokens = tokens.data(),
           .latest = latest.data(),
           .table = table.bytes(),
           .out = out.bytes(),
           .out_stride = 3},
          nullptr);
  });
  EXPECT_EQ(out.values(), (std::vector<float>{30, 31, -1, 0, 1, -1, 20, 21, -1}));
}

TEST_P(Rows, EmbeddingAddsLearnedPositions) {
  for (const int64_t width : kWidths) {
    const size_t n = static_cast<size_t>(width);
    const auto words = random_values(GetParam(), 5 * n, 1);
    const auto places = random_values(GetParam(), 6 * n, 2);
    Elements table(GetParam(), words);
    Elements positions(GetParam(), places);
    Array<int32_t> tokens({4, 1});
    Array<int32_t> at({0, 3});
    Elements out(GetParam(), std::vector<float>(2 * n, -1));
    expect_one_result({&out}, [&] {
      embed({.element = GetParam(),
             .rows = 2,
             .width = width,
             .tokens = tokens.data(),
             .table = table.bytes(),
             .position_table = positions.bytes(),
             .positions = at.data(),
             .position_offset = 2,
             .out = out.bytes(),
             .out_stride = width},
            nullptr);
    });
    for (size_t j = 0; j < n; ++j) {
      EXPECT_EQ(out[j], rounded(GetParam(), words[4 * n + j] + places[2 * n + j])) << width;
      EXPECT_EQ(out[n + j], rounded(GetParam(), words[n + j] + places[5 * n + j])) << width;
    }
  }
}

struct NormCase {
  Norm norm;
  bool added;
  bool bias;
};

/// In double, of one row of sums that were not rounded.
std::vector<float> norm_of(const NormCase& c, const std::vector<double>& row,
                           const std::vector<float>& weight, const std::vector<float>& bias) {
  double mean = 0;
  for (const double x : row) mean += x / static_cast<double>(row.size());
  if (c.norm == Norm::kRms) mean = 0;
  double variance = 0;
  for (const double x : row) variance += (x - mean) * (x - mean) / static_cast<double>(row.size());
  std::vector<float> out;
  for (size_t j = 0; j < row.size(); ++j) {
    const double normed = (row[j] - mean) / std::sqrt(variance + 1e-5);
    out.push_back(static_cast<float>(normed * weight[j] + (c.bias ? bias[j] : 0.0F)));
  }
  return out;
}

void check_norm(Element element, const NormCase& c, int64_t width) {
  const size_t n = static_cast<size_t>(width);
  const auto x = random_values(element, 3 * n, 1);
  const auto y = random_values(element, 3 * n, 2, 3);
  const auto weight = random_values(element, n, 3);
  const auto bias = random_values(element, n, 4);
  Elements residual(element, x, "residual");
  Elements added(element, y, "added");
  Elements weights(element, weight, "weight");
  Elements biases(element, bias, "bias");
  Elements out(element, std::vector<float>(3 * n), "out");
  expect_one_result({&residual, &out}, [&] {
    add_norm({.element = element,
              .norm = c.norm,
              .rows = 3,
              .width = width,
              .residual = residual.bytes(),
              .added = c.added ? added.bytes() : nullptr,
              .weight = weights.bytes(),
              .bias = c.bias ? biases.bytes() : nullptr,
              .eps = 1e-5F,
              .out = out.bytes(),
              .stride = width},
             nullptr);
  });
  std::vector<float> sums;
  std::vector<float> want;
  for (size_t row = 0; row < 3; ++row) {
    std::vector<double> exact;
    for (size_t j = row * n; j < (row + 1) * n; ++j) {
      const float sum = c.added ? x[j] + y[j] : x[j];
      exact.push_back(sum);
      sums.push_back(rounded(element, sum));
    }
    const auto normed = norm_of(c, exact, weight, bias);
    want.insert(want.end(), normed.begin(), normed.end());
  }
  EXPECT_EQ(residual.values(), sums);
  expect_near(out.values(), want, tolerance(element), "width " + std::to_string(width));
}

TEST_P(Rows, RmsNorm) {
  for (const int64_t width : kWidths) {
    check_norm(GetParam(), {Norm::kRms, true, false}, width);
    check_norm(GetParam(), {Norm::kRms, false, false}, width);
  }
}

TEST_P(Rows, LayerNorm) {
  for (const int64_t width : kWidths) {
    check_norm(GetParam(), {Norm::kLayer, true, true}, width);
    check_norm(GetParam(), {Norm::kLayer, false, false}, width);
  }
}

TEST_P(Rows, NormByHand) {
  Elements residual(GetParam(), {3, 4});
  Elements weight(GetParam(), {1, 2});
  Elements out(GetParam(), {0, 0});
  // rms = sqrt((9 + 16) / 2); 25 / 2 + 3.5 = 16.
  add_norm({.element = GetParam(),
            .rows = 1,
            .width = 2,
            .residual = residual.bytes(),
            .weight = weight.bytes(),
            .eps = 3.5F,
            .out = out.bytes(),
            .stride = 2},
           nullptr);
  EXPECT_EQ(out.values(), (std::vector<float>{0.75F, 2}));
}

TEST_P(Rows, BiasIsRoundedOnce) {
  for (const int64_t width : kWidths) {
    const size_t n = static_cast<size_t>(width);
    const auto sums = random_values(Element::kFloat32, 2 * n, 1);
    const auto bias = random_values(GetParam(), n, 2);
    Array<float> in(sums);
    Elements biases(GetParam(), bias);
    Elements out(GetParam(), std::vector<float>(2 * n));
    expect_one_result({&out}, [&] {
      add_bias({.element = GetParam(),
                .rows = 2,
                .columns = width,
                .in = in.data(),
                .in_stride = width,
                .bias = biases.bytes(),
                .out = out.bytes(),
                .out_stride = width},
               nullptr);
    });
    for (size_t i = 0; i < 2 * n; ++i) {
      EXPECT_EQ(out[i], rounded(GetParam(), sums[i] + bias[i % n])) << width;
    }
  }
}

double exact_activation(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kGelu:
      return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  return NAN;
}

TEST_P(Rows, Activations) {
  for (const int64_t width : kWidths) {
    const size_t n = static_cast<size_t>(width);
    const int64_t stride = 2 * width + (width % 8 == 0 ? 8 : 1);
    auto in = random_values(GetParam(), static_cast<size_t>(2 * stride), 1, 6);
    in[0] = -100;  // e^100 is no f32
    Elements rows(GetParam(), in);
    for (const Activation f :
         {Activation::kSilu, Activation::kRelu, Activation::kGelu, Activation::kGeluTanh}) {
      for (const bool gated : {true, false}) {
        Elements out(GetParam(), std::vector<float>(2 * n));
        expect_one_result({&out}, [&] {
          activate({.element = GetParam(),
                    .activation = f,
                    .rows = 2,
                    .width = width,
                    .gate = rows.bytes(),
                    .up = gated ? rows.bytes() + width * element_bytes(GetParam()) : nullptr,
                    .in_stride = stride,
                    .out = out.bytes(),
                    .out_stride = width},
                   nullptr);
        });
        std::vector<float> want;
        for (size_t i = 0; i < 2 * n; ++i) {
          const size_t at = i / n * static_cast<size_t>(stride) + i % n;
          const float active = rounded(GetParam(), static_cast<float>(exact_activation(f, in[at])));
          want.push_back(gated ? active * in[at + n] : active);
        }
        expect_near(out.values(), want, 2 * tolerance(GetParam()),
                    "width " + std::to_string(width));
      }
    }
  }
}

TEST_P(Rows, Gather) {
  for (const int64_t width : kWidths) {
    const size_t n = static_cast<size_t>(width);
    const auto in = random_values(GetParam(), 4 * n, 1);
    Elements rows(GetParam(), in);
    Array<int32_t> indices({3, 0, 3});
    Elements out(GetParam(), std::vector<float>(3 * n));
    expect_one_result({&out}, [&] {
      gather_rows({.element = GetParam(),
                   .rows = 3,
                   .width = width,
                   .indices = indices.data(),
                   .in = rows.bytes(),
                   .in_stride = width,
                   .out = out.bytes(),
                   .out_stride = width},
                  nullptr);
    });
    for (size_t i = 0; i < 3 * n; ++i) EXPECT_EQ(out[i], in[(i / n == 1 ? 0 : 3 * n) + i % n]);
  }
}

}  // namespace
}  // namespace touchstone::backend::cuda
