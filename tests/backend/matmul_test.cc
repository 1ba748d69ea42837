// Products of every layout on every instruction set, bit by bit beside the order that kernels.h
// states, at awkward sizes and with numbers that are next to nothing.
#include <gtest/gtest.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cmath>
#include <cstring>

#include "base/random.h"
#include "reference_engine/backend/cpu/cpu_features.h"
#include "reference_engine/backend/cpu/packed_matrix.h"

namespace touchstone::backend::cpu {
namespace {

struct Case {
  Storage storage;
  Rounding rounding;
  int64_t rows;
  int64_t columns;
  int64_t k;
  bool tiny = false;
};

std::string describe(const Case& c, const Kernels& kernels) {
  return std::string(kernels.name) + (c.storage == Storage::kFloat32 ? " f32" : " bf16") +
         (c.rounding == Rounding::kNone ? "" : " rounded") + (c.tiny ? " tiny " : " ") +
         std::to_string(c.rows) + " x " + std::to_string(c.columns) + " x " + std::to_string(c.k);
}

float rounded(float value) { return model::bf16_to_float(model::float_to_bf16(value)); }

/// Exponents over a wide range, so that the order of a sum shows.
float draw(RandomStream& random, const Case& c) {
  const double exponent = c.tiny ? -70 + 8 * random.uniform() : -6 + 12 * random.uniform();
  const auto value = static_cast<float>((random.uniform() - 0.5) * std::exp2(exponent));
  return c.storage == Storage::kBFloat16 ? rounded(value) : value;
}

struct Tensors {
  std::vector<float> a;
  std::vector<float> b;  // (columns, k)
};

Tensors make(const Case& c) {
  RandomStream random(static_cast<uint64_t>(c.rows * 1009 + c.k), "matmul");
  Tensors tensors;
  for (int64_t i = 0; i < c.rows * padded(c.k); ++i) {
    tensors.a.push_back(i % padded(c.k) < c.k ? draw(random, c) : 0.0F);
  }
  for (int64_t i = 0; i < c.columns * c.k; ++i) tensors.b.push_back(draw(random, c));
  return tensors;
}

float in_one_chain(const float* a, const float* b, int64_t k) {
  float sum = 0;
  for (int64_t i = 0; i < k; ++i) sum = std::fma(a[i], b[i], sum);
  return sum;
}

float by_pairs(const float* a, const float* b, int64_t k) {
  float sum = 0;
  for (int64_t chunk = 0; chunk < k; chunk += kChunk) {
    float even = 0;
    float odd = 0;
    for (int64_t i = chunk; i < std::min(k, chunk + kChunk); ++i) {
      float& part = i % 2 == 0 ? even : odd;
      part = std::fma(a[i], b[i], part);
    }
    sum += even + odd;
  }
  return sum;
}

bool uses_pairs(const Case& c) {
  return c.storage == Storage::kBFloat16 && c.rounding == Rounding::kBFloat16;
}

std::vector<float> defined(const Case& c, const Tensors& tensors) {
#if defined(__x86_64__)
  const unsigned before = _mm_getcsr();
  if (uses_pairs(c)) _mm_setcsr(before | 0x8040);  // small is zero, as kernels.h says
#endif
  std::vector<float> out;
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t column = 0; column < c.columns; ++column) {
      const float* a = tensors.a.data() + row * padded(c.k);
      const float* b = tensors.b.data() + column * c.k;
      const float sum = uses_pairs(c) ? by_pairs(a, b, c.k) : in_one_chain(a, b, c.k);
      out.push_back(c.rounding == Rounding::kNone ? sum : rounded(sum));
    }
  }
#if defined(__x86_64__)
  _mm_setcsr(before);
#endif
  return out;
}

std::vector<float> computed(const Case& c, Tensors& tensors, const Kernels& kernels) {
  std::vector<std::byte> bytes(tensors.b.size() * sizeof(float));
  std::memcpy(bytes.data(), tensors.b.data(), bytes.size());
  const model::Tensor weights{
      .dtype = model::DType::kFloat32, .shape = {c.columns, c.k}, .bytes = bytes};
  const model::Tensor* parts[] = {&weights};
  const auto matrix = PackedMatrix::pack(parts, c.storage, c.rounding);
  BASE_CHECK(matrix.has_value(), matrix.error().message);
  ThreadPool pool(2);
  MatmulScratch scratch;
  std::vector<float> wide(static_cast<size_t>(c.rows * matrix->columns()), NAN);
  matmul(kernels, pool, {tensors.a.data(), c.rows, padded(c.k)}, *matrix,
         {wide.data(), c.rows, matrix->columns()}, c.rounding, scratch);
  std::vector<float> out;
  for (int64_t row = 0; row < c.rows; ++row) {
    const auto first = wide.begin() + row * matrix->columns();
    out.insert(out.end(), first, first + c.columns);
  }
  return out;
}

void expect_as_defined(const Case& c) {
  Tensors tensors = make(c);
  const std::vector<float> expected = defined(c, tensors);
  for (const Kernels* kernels : supported_kernels()) {
    const std::vector<float> got = computed(c, tensors, *kernels);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(std::memcmp(&got[i], &expected[i], sizeof(float)), 0)
          << describe(c, *kernels) << ": element " << i << ": " << got[i] << ", expected "
          << expected[i];
    }
  }
}

const std::pair<Storage, Rounding> kLayouts[] = {{Storage::kFloat32, Rounding::kNone},
                                                 {Storage::kBFloat16, Rounding::kNone},
                                                 {Storage::kBFloat16, Rounding::kBFloat16}};

TEST(Matmul, EveryNumberOfRowsGivesTheDefinedBits) {
  for (const auto& [storage, rounding] : kLayouts) {
    for (int64_t rows = 1; rows <= 35; ++rows) {
      expect_as_defined({storage, rounding, rows, 70, 45});
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Matmul, EveryWidthGivesTheDefinedBits) {
  for (const auto& [storage, rounding] : kLayouts) {
    for (const int64_t k : {1, 2, 31, 32, 33, 64, 95, 1056}) {
      for (const int64_t columns : {1, 31, 33, 97, 161}) {
        expect_as_defined({storage, rounding, 3, columns, k});
        if (HasFatalFailure()) return;
      }
    }
  }
}

// More rows than stay in a cache at once and more inputs than a panel's part: sums are continued.
TEST(Matmul, PartsOfRowsAndInputsGiveTheDefinedBits) {
  for (const auto& [storage, rounding] : kLayouts) {
    expect_as_defined({storage, rounding, 300, 33, 1300});
  }
}

#if defined(__x86_64__)
TEST(Matmul, ByPairsWhatIsNextToNothingIsZeroEverywhere) {
  for (const int64_t rows : {1, 5, 17}) {
    expect_as_defined({Storage::kBFloat16, Rounding::kBFloat16, rows, 64, 96, true});
  }
}
#endif

}  // namespace
}  // namespace touchstone::backend::cpu
