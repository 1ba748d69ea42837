// The register layouts of tensor cores: a product of whole matrices through ldmatrix and mma gives
// what the matrices give, and a register in the wrong place does not.
#include "reference_engine/backend/cuda/kernels/fragments.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace touchstone::backend::cuda {
namespace {

constexpr int kK = 16;
constexpr int kRows = 16;
constexpr int kColumns = 16;

/// A warp's product of A (16, 16) and B (16, 16): B as it lies, or from its transpose.
template <typename T>
TOUCHSTONE_KERNEL product_kernel(const T* a, const T* b, float* out, bool transposed,
                                 bool swapped) {
  using F = Fragments<T>;
  const int stride = kK + F::kPadding;
  TOUCHSTONE_SHARED(T, left, kRows * (kK + 8));
  TOUCHSTONE_SHARED(T, right, kRows * (kK + 8));
  for (int i = lane(); i < kRows * kK; i += 32) {
    left[i / kK * stride + i % kK] = load(a + i);
    right[i / kK * stride + i % kK] = load(b + i);
  }
  sync_warp();
  Product products[2] = {};
  for (int k = 0; k < kK; k += F::kK) {
    auto rows = F::load_a(left, stride, k);
    if (swapped) std::swap(rows.r[1], rows.r[2]);
    typename F::B columns[2];
    if (transposed) {
      F::load_b_transposed(columns, right, stride, 0, k);
    } else {
      F::load_b(columns, right, stride, k, 0);
    }
    for (int i = 0; i < 2; ++i) F::multiply(products[i], rows, columns[i]);
  }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int row = fragment_group() + j / 2 * 8;
      store(out + row * kColumns + 8 * i + 2 * fragment_place() + j % 2, products[i].d[j]);
    }
  }
}

/// The same with B = 1, from A as products: the sums of A's rows.
template <typename T>
TOUCHSTONE_KERNEL row_sums_kernel(float* out) {
  using F = Fragments<T>;
  const int stride = 8 + F::kPadding + 8;
  TOUCHSTONE_SHARED(T, numbers, kK * (16 + 8));
  for (int i = lane(); i < kK * stride; i += 32) {
    numbers[i] = from_float<T>(static_cast<float>(i / stride));  // B[k][n] = k
  }
  sync_warp();
  Product left[2];
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 4; ++j) {  // A[row][column] = row + 2 * column
      const int column = 8 * i + 2 * fragment_place() + j % 2;
      left[i].d[j] = static_cast<float>(fragment_group() + j / 2 * 8 + 2 * column);
    }
  }
  Product sum = {};
  for (int step = 0; step < kK / F::kK; ++step) {
    typename F::B b[2];
    F::load_b(b, numbers, stride, step * F::kK, 0);
    F::multiply(sum, F::from_products(left, step), b[0]);
  }
  if (fragment_place() == 0) {
    store(out + fragment_group(), sum.d[0]);
    store(out + fragment_group() + 8, sum.d[2]);
  }
}

template <typename T>
class FragmentsTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(emulator::take_errors(), std::vector<std::string>()); }

  /// The largest difference to the product by definition, of small integers: exact in every type.
  float difference(bool transposed, bool swapped) {
    RandomStream random(1, "fragments");
    std::vector<T> a, b;
    for (int i = 0; i < kRows * kK; ++i) {
      a.push_back(from_float<T>(static_cast<float>(random.below(9)) - 4));
      b.push_back(from_float<T>(static_cast<float>(random.below(9)) - 4));
    }
    std::vector<float> out(kRows * kColumns);
    emulator::add_buffer(a.data(), a.size() * sizeof(T), "a");
    emulator::add_buffer(b.data(), b.size() * sizeof(T), "b");
    emulator::add_buffer(out.data(), out.size() * sizeof(float), "out");
    launch("product", product_kernel<T>, {}, 32, 0, nullptr, a.data(), b.data(), out.data(),
           transposed, swapped);
    float worst = 0;
    for (size_t row = 0; row < kRows; ++row) {
      for (size_t column = 0; column < kColumns; ++column) {
        float sum = 0;
        for (size_t k = 0; k < kK; ++k) {
          sum += to_float(a[row * kK + k]) *
                 to_float(transposed ? b[column * kK + k] : b[k * kColumns + column]);
        }
        worst = std::max(worst, std::abs(sum - out[row * kColumns + column]));
      }
    }
    for (const void* data : {static_cast<void*>(a.data()), static_cast<void*>(b.data()),
                             static_cast<void*>(out.data())}) {
      emulator::remove_buffer(data);
    }
    return worst;
  }
};
using Types = testing::Types<float, BFloat16, Half>;
TYPED_TEST_SUITE(FragmentsTest, Types);

TYPED_TEST(FragmentsTest, AProductIsThatOfTheMatrices) {
  // f32 reads B as it lies in the order of from_products(), not of load_a().
  if constexpr (sizeof(TypeParam) == 2) {
    EXPECT_EQ(this->difference(false, false), 0);
  }
  EXPECT_EQ(this->difference(true, false), 0);
}

TYPED_TEST(FragmentsTest, SwappedRegistersAreFound) { EXPECT_GT(this->difference(true, true), 0); }

TYPED_TEST(FragmentsTest, ProductsBecomeTheLeftSideOfTheNext) {
  std::vector<float> out(kRows);
  emulator::add_buffer(out.data(), out.size() * sizeof(float), "out");
  launch("row_sums", row_sums_kernel<TypeParam>, {}, 32, 0, nullptr, out.data());
  emulator::remove_buffer(out.data());
  for (int row = 0; row < kRows; ++row) {
    float want = 0;
    for (int k = 0; k < kK; ++k) want += static_cast<float>((row + 2 * k) * k);
    EXPECT_EQ(out[static_cast<size_t>(row)], want) << row;
  }
}

TEST(Elements, EveryHalfComesBackAndRoundingGoesToEven) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = to_float(Half{static_cast<uint16_t>(bits)});
    if (std::isnan(value)) continue;
    EXPECT_EQ(float_to_f16(value), bits);
    // Half way to the next one goes to the even one, a little less or more to the nearer.
    const float next = to_float(Half{static_cast<uint16_t>(bits + 1)});
    if ((bits & 0x7FFF) >= 0x7BFF) continue;
    const float middle = (value + next) / 2;
    EXPECT_EQ(float_to_f16(middle), bits + (bits & 1)) << value;
    EXPECT_EQ(float_to_f16(std::nextafter(middle, value)), bits) << value;
    EXPECT_EQ(float_to_f16(std::nextafter(middle, next)), bits + 1) << value;
  }
  EXPECT_EQ(float_to_f16(65519.0F), 0x7BFF);
  EXPECT_EQ(float_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_f16(-1e30F), 0xFC00);
  EXPECT_TRUE(std::isnan(to_float(Half{float_to_f16(NAN)})));
}

}  // namespace
}  // namespace touchstone::backend::cuda
