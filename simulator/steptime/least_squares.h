// Non-negative robust least squares for a handful of columns: step times are sums of costs, none of
// which is negative. Deterministic. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace touchstone::simulator {

/// The most columns: every set of them is tried, so that no iteration is needed.
inline constexpr size_t kMostColumns = 8;

struct LeastSquares {
  std::vector<std::vector<double>> rows;  ///< one a measurement, all of the same length
  std::vector<double> values;             ///< what was measured, as many
  std::vector<double> weights;            ///< of squared errors, as many; empty: all 1

  void add(std::vector<double> row, double value, double weight);
};

/// Bit i: column i is not a combination of those before it.
/// REQUIRES: at least one row, at most kMostColumns columns.
unsigned identified_columns(const LeastSquares& problem);

struct RobustOptions {
  /// Errors within so many robust standard deviations count fully (95 % efficiency, Huber 1964).
  double huber = 1.345;
  /// Nothing is measured more exactly than this, in units of an error times the root of its weight:
  /// a perfect fit must not make rounding errors into outliers.
  double finest = 0;
};

/// Coefficients by column, none negative, those not in `allowed` zero: exact for the squared error,
/// then weighted again so that what lies far off counts by its distance. nullopt when no column can
/// explain anything. REQUIRES: as above.
std::optional<std::vector<double>> fit_non_negative(const LeastSquares& problem, unsigned allowed,
                                                    const RobustOptions& options);

}  // namespace touchstone::simulator
