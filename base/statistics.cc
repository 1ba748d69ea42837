#include "base/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace touchstone {
namespace {

/// P(X <= k) for X ~ Binomial(n, p), summed in log space.
double binomial_cdf(int64_t k, int64_t n, double p) {
  double sum = 0;
  for (int64_t i = 0; i <= k; ++i) {
    const double log_pmf =
        std::lgamma(static_cast<double>(n + 1)) - std::lgamma(static_cast<double>(i + 1)) -
        std::lgamma(static_cast<double>(n - i + 1)) + static_cast<double>(i) * std::log(p) +
        static_cast<double>(n - i) * std::log1p(-p);
    sum += std::exp(log_pmf);
  }
  return std::min(sum, 1.0);
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  BASE_CHECK(!values.empty());
  BASE_CHECK(q >= 0 && q <= 1, q);
  const double position = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(position);
  const auto low_it = values.begin() + static_cast<std::ptrdiff_t>(low);
  std::nth_element(values.begin(), low_it, values.end());
  const double low_value = *low_it;
  const double fraction = position - static_cast<double>(low);
  if (fraction == 0) return low_value;
  const double high_value = *std::min_element(low_it + 1, values.end());
  return low_value + fraction * (high_value - low_value);
}

double mean(const std::vector<double>& values) {
  BASE_CHECK(!values.empty());
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<QuantileInterval> quantile_interval(std::vector<double> values, double q,
                                                  double confidence) {
  BASE_CHECK(q > 0 && q < 1, q);
  BASE_CHECK(confidence > 0 && confidence < 1, confidence);
  const auto n = static_cast<int64_t>(values.size());
  const double tail = (1 - confidence) / 2;
  // Ranks are 1-based: P(rank-l value <= quantile) = P(X >= l), X = number of values below it.
  int64_t low_rank = 0;
  while (low_rank < n && binomial_cdf(low_rank, n, q) <= tail) ++low_rank;
  int64_t high_rank = low_rank;
  while (high_rank < n && 1 - binomial_cdf(high_rank, n, q) > tail) ++high_rank;
  ++high_rank;
  if (low_rank < 1 || high_rank > n) return std::nullopt;
  std::sort(values.begin(), values.end());
  return QuantileInterval{values[static_cast<size_t>(low_rank - 1)],
                          values[static_cast<size_t>(high_rank - 1)]};
}

}  // namespace touchstone
