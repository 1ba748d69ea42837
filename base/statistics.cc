#include "base/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace touchstone {
namespace {

using Binomial = boost::math::binomial_distribution<double>;

/// How many k of 0 … n-1 come before the first for which `holds(k)` is false. `holds` is monotone.
template <typename Holds>
int64_t first_false(int64_t n, const Holds& holds) {
  int64_t low = 0;
  int64_t high = n;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (holds(middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/// Ranks are 1-based. The value of rank l is at most the q-quantile when at least l of n values lie
/// below it, the value of rank h at least when fewer than h do: X ~ Binomial(n, q) of them do.
/// Rank 0 and rank n + 1: there is no such value.
int64_t lower_rank(int64_t n, double q, double tail) {
  const Binomial below(static_cast<double>(n), q);
  return first_false(n, [&](int64_t k) { return cdf(below, static_cast<double>(k)) <= tail; });
}
int64_t upper_rank(int64_t n, double q, double tail) {
  const Binomial below(static_cast<double>(n), q);
  return first_false(
             n, [&](int64_t k) { return cdf(complement(below, static_cast<double>(k))) > tail; }) +
         1;
}

std::optional<double> value_of_rank(std::vector<double>& values, int64_t rank) {
  if (rank < 1 || rank > static_cast<int64_t>(values.size())) return std::nullopt;
  const auto at = values.begin() + (rank - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void check_levels(double q, double confidence) {
  BASE_CHECK(q > 0 && q < 1, q);
  BASE_CHECK(confidence > 0 && confidence < 1, confidence);
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
  check_levels(q, confidence);
  const auto n = static_cast<int64_t>(values.size());
  const double tail = (1 - confidence) / 2;
  const auto low = value_of_rank(values, lower_rank(n, q, tail));
  const auto high = value_of_rank(values, upper_rank(n, q, tail));
  if (!low || !high) return std::nullopt;
  return QuantileInterval{*low, *high};
}

std::optional<double> quantile_upper_bound(std::vector<double> values, double q,
                                           double confidence) {
  check_levels(q, confidence);
  const auto n = static_cast<int64_t>(values.size());
  return value_of_rank(values, upper_rank(n, q, 1 - confidence));
}

std::optional<double> quantile_lower_bound(std::vector<double> values, double q,
                                           double confidence) {
  check_levels(q, confidence);
  const auto n = static_cast<int64_t>(values.size());
  return value_of_rank(values, lower_rank(n, q, 1 - confidence));
}

int64_t quantile_upper_bound_samples(double q, double confidence) {
  check_levels(q, confidence);
  return static_cast<int64_t>(std::ceil(std::log(1 - confidence) / std::log(q)));
}

int64_t quantile_lower_bound_samples(double q, double confidence) {
  return quantile_upper_bound_samples(1 - q, confidence);
}

}  // namespace touchstone
