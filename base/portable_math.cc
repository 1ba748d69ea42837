#include "base/portable_math.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/check.h"

namespace touchstone {
namespace {

constexpr int kExponentBias = 1023;
constexpr int kMantissaBits = 52;
// ln 2 in two parts; the high one has zeros at its end, so that n times it is exact.
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;

constexpr int kTerms = 11;  // of artanh's series after the first
constexpr std::array<double, kTerms> kOdd = [] {
  std::array<double, kTerms> reciprocals = {};
  for (int i = 0; i < kTerms; ++i) reciprocals[static_cast<size_t>(i)] = 1.0 / (2 * i + 3);
  return reciprocals;
}();

}  // namespace

double portable_log(double x) {
  BASE_CHECK(x >= std::numeric_limits<double>::min() && x <= std::numeric_limits<double>::max(), x);
  const auto bits = std::bit_cast<uint64_t>(x);
  int exponent = static_cast<int>(bits >> kMantissaBits) - kExponentBias;
  const uint64_t mantissa = bits & ((uint64_t{1} << kMantissaBits) - 1);
  double m = std::bit_cast<double>(mantissa | uint64_t{kExponentBias} << kMantissaBits);
  if (m > 1.4142135623730951) {
    m /= 2;
    ++exponent;
  }
  // x = 2^exponent m with m in [1/sqrt(2), sqrt(2)], and ln m = 2 artanh(s), |s| < 0.1716: the
  // series' term s^25 is below 1e-18 of the first.
  const double s = (m - 1) / (m + 1);
  const double square = s * s;
  double sum = 0;
  for (size_t i = kTerms; i-- > 0;) sum = (sum + kOdd[i]) * square;
  const double n = exponent;
  return n * kLn2High + (2 * s + (2 * s * sum + n * kLn2Low));
}

double portable_exp(double x) {
  BASE_CHECK(x <= 700, x);
  if (x < -700) return 0;
  // x = n ln 2 + r with |r| <= ln(2) / 2, where r^14 / 14! < 5e-18.
  const double scaled = x * 1.4426950408889634;
  const auto n = static_cast<int>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double sum = 1;
  for (int k = 13; k >= 1; --k) sum = 1 + sum * r / k;
  return sum * std::bit_cast<double>(static_cast<uint64_t>(n + kExponentBias) << kMantissaBits);
}

}  // namespace touchstone
