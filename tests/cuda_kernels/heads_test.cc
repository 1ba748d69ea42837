// Norms and rotations of heads, and what comes to lie in the pages.
#include <cmath>

#include "tests/cuda_kernels/kernel_fixture.h"

namespace touchstone::backend::cuda {
namespace {

struct Shape {
  int32_t num_heads;
  int32_t num_kv_heads;
  int32_t head_dim;
  bool norms;
  bool rotates;
};

struct Inputs {
  int64_t stride = 0;
  int64_t k_column = 0;
  int64_t v_column = 0;
  std::vector<float> qkv, q_norm, k_norm, cosines, sines;
};

constexpr int32_t kBlockSize = 16;
constexpr int32_t kPositions = 40;
constexpr float kUntouched = -7;  // in every element type

Inputs make_inputs(Element element, const Shape& shape, size_t rows) {
  Inputs in;
  // A gap between the parts, as a host that pads them leaves.
  in.k_column = int64_t{shape.num_heads} * shape.head_dim + 8;
  in.v_column = in.k_column + int64_t{shape.num_kv_heads} * shape.head_dim + 3;
  in.stride = in.v_column + int64_t{shape.num_kv_heads} * shape.head_dim + 5;
  const size_t dim = static_cast<size_t>(shape.head_dim);
  in.qkv = random_values(element, rows * static_cast<size_t>(in.stride), 1);
  in.q_norm = random_values(element, dim, 2);
  in.k_norm = random_values(element, dim, 3);
  in.cosines = random_values(element, kPositions * dim / 2, 4);
  in.sines = random_values(element, kPositions * dim / 2, 5);
  return in;
}

/// One head by definition.
std::vector<float> head_of(Element element, const Shape& shape, const Inputs& in, size_t at,
                           const std::vector<float>& norm, int32_t position) {
  const size_t dim = static_cast<size_t>(shape.head_dim);
  std::vector<float> x(in.qkv.begin() + static_cast<ptrdiff_t>(at),
                       in.qkv.begin() + static_cast<ptrdiff_t>(at + dim));
  if (shape.norms) {
    double squares = 0;
    for (const float value : x) squares += double{value} * value;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(dim) + 1e-6);
    for (size_t i = 0; i < dim; ++i) {
      x[i] = rounded(element, static_cast<float>(x[i] * scale * norm[i]));
    }
  }
  if (!shape.rotates) return x;
  std::vector<float> rotated(dim);
  const size_t half = dim / 2;
  for (size_t i = 0; i < half; ++i) {
    const double c = in.cosines[static_cast<size_t>(position) * half + i];
    const double s = in.sines[static_cast<size_t>(position) * half + i];
    rotated[i] = static_cast<float>(x[i] * c - x[i + half] * s);
    rotated[i + half] = static_cast<float>(x[i + half] * c + x[i] * s);
  }
  return rotated;
}

/// Puts `head` where `pages` should hold it: block 2, slot 5 is slot 37.
void expect_cached(std::vector<float>& want, const Shape& shape, int64_t slot, int32_t head,
                   const std::vector<float>& values) {
  const size_t width = static_cast<size_t>(cached_head_dim(shape.head_dim));
  const size_t in_block = static_cast<size_t>(shape.num_kv_heads) * kBlockSize * width + 8;
  const size_t block = static_cast<size_t>(slot / kBlockSize);
  const size_t at =
      block * in_block +
      (static_cast<size_t>(head) * kBlockSize + static_cast<size_t>(slot % kBlockSize)) * width;
  for (size_t d = 0; d < width; ++d) want[at + d] = d < values.size() ? values[d] : 0;
}

void check_heads(Element element, const Shape& shape) {
  constexpr size_t kRows = 3;
  const Inputs in = make_inputs(element, shape, kRows);
  const size_t dim = static_cast<size_t>(shape.head_dim);
  const int64_t block_stride =
      int64_t{shape.num_kv_heads} * kBlockSize * cached_head_dim(shape.head_dim) + 8;
  const std::vector<float> empty(static_cast<size_t>(3 * block_stride), kUntouched);
  const std::vector<int64_t> slots = {37, -1, 0};
  const std::vector<int32_t> positions = {39, 0, 7};
  Elements qkv(element, in.qkv, "qkv");
  Elements q_norm(element, in.q_norm, "q_norm");
  Elements k_norm(element, in.k_norm, "k_norm");
  Array<float> cosines(in.cosines, "cosines");
  Array<float> sines(in.sines, "sines");
  Array<int32_t> at(positions, "positions");
  Array<int64_t> slot(slots, "slots");
  Elements keys(element, empty, "keys");
  Elements values(element, empty, "values");
  StoreHeads args = {.element = element,
                     .rows = kRows,
                     .num_heads = shape.num_heads,
                     .num_kv_heads = shape.num_kv_heads,
                     .head_dim = shape.head_dim,
                     .qkv = qkv.bytes(),
                     .stride = in.stride,
                     .k_column = in.k_column,
                     .v_column = in.v_column,
                     .eps = 1e-6F,
                     .slots = slot.data()};
  args.pages = {keys.bytes(), values.bytes(), block_stride, kBlockSize};
  if (shape.norms) args.q_norm = q_norm.bytes();
  if (shape.norms) args.k_norm = k_norm.bytes();
  if (shape.rotates) {
    args.cosines = cosines.data();
    args.sines = sines.data();
    args.positions = at.data();
  }
  expect_one_result({&qkv, &keys, &values}, [&] { store_heads(args, nullptr); });

  std::vector<float> want_qkv = in.qkv;
  std::vector<float> want_keys = empty;
  std::vector<float> want_values = empty;
  for (size_t row = 0; row < kRows; ++row) {
    const size_t start = row * static_cast<size_t>(in.stride);
    for (int32_t head = 0; head < shape.num_heads; ++head) {
      const size_t first = start + static_cast<size_t>(head) * dim;
      const auto query = head_of(element, shape, in, first, in.q_norm, positions[row]);
      std::copy(query.begin(), query.end(), want_qkv.begin() + static_cast<ptrdiff_t>(first));
    }
    if (slots[row] < 0) continue;
    for (int32_t head = 0; head < shape.num_kv_heads; ++head) {
      const size_t skip = start + static_cast<size_t>(head) * dim;
      const size_t k = skip + static_cast<size_t>(in.k_column);
      const auto v =
          in.qkv.begin() + static_cast<ptrdiff_t>(skip + static_cast<size_t>(in.v_column));
      expect_cached(want_keys, shape, slots[row], head,
                    head_of(element, shape, in, k, in.k_norm, positions[row]));
      expect_cached(want_values, shape, slots[row], head, {v, v + shape.head_dim});
    }
  }
  const std::string what = "head_dim " + std::to_string(shape.head_dim);
  expect_near(qkv.values(), want_qkv, 2 * tolerance(element), what + " queries");
  expect_near(keys.values(), want_keys, 2 * tolerance(element), what + " keys");
  EXPECT_EQ(values.values(), want_values) << what;
}

class Heads : public KernelTest {};
TOUCHSTONE_FOR_ALL_ELEMENTS(Heads);

TEST_P(Heads, NormedRotatedAndCached) {
  for (const int32_t dim : {2, 10, 20, 64, 66, 128}) {
    check_heads(GetParam(), {4, 2, dim, true, true});
    check_heads(GetParam(), {3, 3, dim, false, true});
    check_heads(GetParam(), {5, 1, dim, false, false});
  }
}

TEST_P(Heads, RotationByHand) {
  // A quarter turn takes (x, y) to (-y, x).
  Elements qkv(GetParam(), {1, 2, 3, 4, 0, 0, 5, 6});
  Array<float> cosines(std::vector<float>{0});
  Array<float> sines(std::vector<float>{1});
  Array<int32_t> positions(std::vector<int32_t>{0});
  Array<int64_t> slots(std::vector<int64_t>{1});
  Elements keys(GetParam(), std::vector<float>(kBlockSize * 16, 9));
  Elements values(GetParam(), std::vector<float>(kBlockSize * 16, 9));
  StoreHeads args = {.element = GetParam(),
                     .rows = 1,
                     .num_heads = 1,
                     .num_kv_heads = 1,
                     .head_dim = 2,
                     .qkv = qkv.bytes(),
                     .stride = 8,
                     .k_column = 2,
                     .v_column = 6,
                     .cosines = cosines.data(),
                     .sines = sines.data(),
                     .positions = positions.data(),
                     .slots = slots.data()};
  args.pages = {keys.bytes(), values.bytes(), kBlockSize * 16, kBlockSize};
  store_heads(args, nullptr);
  EXPECT_EQ(qkv.values(), (std::vector<float>{-2, 1, 3, 4, 0, 0, 5, 6}));
  EXPECT_EQ(keys[15], 9);
  EXPECT_EQ(keys[16], -4);
  EXPECT_EQ(keys[17], 3);
  EXPECT_EQ(keys[18], 0);
  EXPECT_EQ(keys[31], 0);
  EXPECT_EQ(keys[32], 9);
  EXPECT_EQ(values[16], 5);
  EXPECT_EQ(values[17], 6);
  EXPECT_EQ(values[18], 0);
}

}  // namespace
}  // namespace touchstone::backend::cuda
