#include "reference_engine/sampling/exponential.h"

#include <array>
#include <bit>
#include <cstdint>

#include "base/check.h"

namespace touchstone::sampling {
namespace {

constexpr double kLowest = -700.0;
constexpr int kDegree = 12;  // |r| <= ln(2) / 2 leaves r^13 / 13! < 2e-16

constexpr std::array<double, kDegree + 1> kTaylor = [] {
  std::array<double, kDegree + 1> coefficients = {};
  double factorial = 1;
  for (int i = 0; i <= kDegree; ++i) {
    factorial *= i == 0 ? 1 : i;
    coefficients[static_cast<size_t>(i)] = 1 / factorial;
  }
  return coefficients;
}();

#define TOUCHSTONE_ALWAYS_INLINE inline __attribute__((always_inline))

/// e^x for x in [kLowest, 0]: e^x = 2^n e^r. Without a branch or a call, so that it vectorises;
/// without a fused operation, so that every instruction set gives the same bits.
TOUCHSTONE_ALWAYS_INLINE double exponential(double x) {
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  constexpr double kRounding = 0x1.8p52;  // added, it leaves the integer in the lowest bits
  constexpr int kExponentBias = 1023;
  constexpr int kMantissaBits = 52;
  const double shifted = x * kLog2E + kRounding;
  const double n = shifted - kRounding;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double sum = kTaylor[kDegree];
#pragma GCC unroll 16
  for (size_t i = kDegree; i-- > 0;) sum = sum * r + kTaylor[i];
  const uint64_t power = (std::bit_cast<uint64_t>(shifted) + kExponentBias) << kMantissaBits;
  return sum * std::bit_cast<double>(power);
}

/// `grid`: added and taken away again, so that what is left is a multiple of the grid's last bit;
/// 0 leaves a value as it is.
TOUCHSTONE_ALWAYS_INLINE void run(std::span<const float> logits, double top, double scale,
                                  double grid, double* out) {
  const float* in = logits.data();
  const size_t size = logits.size();
  for (size_t i = 0; i < size; ++i) {
    const double x = (static_cast<double>(in[i]) - top) * scale;
    // All ones where x counts; a number that is none does not. A mask and no branch: what
    // exponential() makes of an x that it is not for is thrown away.
    const uint64_t counts = -static_cast<uint64_t>(x > kLowest);
    const double value = (exponential(x) + grid) - grid;
    out[i] = std::bit_cast<double>(std::bit_cast<uint64_t>(value) & counts);
  }
}

void run_portable(std::span<const float> logits, double top, double scale, double grid,
                  double* out) {
  run(logits, top, scale, grid, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void run_avx2(std::span<const float> logits, double top,
                                              double scale, double grid, double* out) {
  run(logits, top, scale, grid, out);
}
__attribute__((target("avx512f,avx512dq,avx512vl,prefer-vector-width=512"))) void run_avx512(
    std::span<const float> logits, double top, double scale, double grid, double* out) {
  run(logits, top, scale, grid, out);
}
#endif

}  // namespace

std::vector<ExponentialPath> exponential_paths() {
  std::vector<ExponentialPath> paths;
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks whether the operating system saves the wide registers.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    paths.push_back({"avx512", run_avx512});
  }
  if (__builtin_cpu_supports("avx2")) paths.push_back({"avx2", run_avx2});
#endif
  paths.push_back({"portable", run_portable});
  return paths;
}

namespace {

void run_best(std::span<const float> logits, float top, double temperature, double grid,
              std::span<double> out) {
  BASE_CHECK(logits.size() == out.size(), logits.size(), " logits, ", out.size(), " places");
  static const ExponentialPath best = exponential_paths().front();
  best.run(logits, static_cast<double>(top), 1 / temperature, grid, out.data());
}

}  // namespace

void exponentials(std::span<const float> logits, float top, double temperature,
                  std::span<double> out) {
  run_best(logits, top, temperature, 0, out);
}

void draw_weights(std::span<const float> logits, float top, double temperature,
                  std::span<double> out) {
  run_best(logits, top, temperature, kWeightGrid, out);
}

double ordered_sum(std::span<const double> values) {
  std::array<double, 8> sums = {};
  size_t i = 0;
  for (; i + sums.size() <= values.size(); i += sums.size()) {
    for (size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += values[i + lane];
  }
  for (size_t lane = 0; i < values.size(); ++i, ++lane) sums[lane] += values[i];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace touchstone::sampling
