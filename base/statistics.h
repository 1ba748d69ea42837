// Order statistics with fixed definitions, so that every part of Touchstone means the same by p95.
// Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace touchstone {

/// Linear-interpolation quantile (Hyndman–Fan type 7, as NumPy's default) of unsorted `values`.
/// REQUIRES: values not empty, 0 <= q <= 1.
double quantile(std::vector<double> values, double q);
/// REQUIRES: values not empty.
double mean(const std::vector<double>& values);

/// Distribution-free confidence interval of the q-quantile from order statistics (binomial).
struct QuantileInterval {
  double low;
  double high;
};
/// nullopt when the sample is too small for any interval at this confidence.
/// REQUIRES: 0 < q < 1, 0 < confidence < 1.
std::optional<QuantileInterval> quantile_interval(std::vector<double> values, double q,
                                                  double confidence);

/// One-sided bounds of the q-quantile from order statistics: it lies at or below (above) the result
/// with at least `confidence`. nullopt when the sample is too small. Infinite values are fine.
/// REQUIRES: 0 < q < 1, 0 < confidence < 1.
std::optional<double> quantile_upper_bound(std::vector<double> values, double q, double confidence);
std::optional<double> quantile_lower_bound(std::vector<double> values, double q, double confidence);
/// The smallest sample for which quantile_upper_bound() has a result: 59 for p95 at 95 %.
int64_t quantile_upper_bound_samples(double q, double confidence);
/// The smallest sample for which quantile_lower_bound() has a result: 2 for p90 at 95 %.
int64_t quantile_lower_bound_samples(double q, double confidence);

}  // namespace touchstone
