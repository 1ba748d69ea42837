// How many times as large one sample is as another, by medians, and where that lies: percentile
// bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13) with a fixed
// seed, so that equal samples give equal intervals. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace touchstone {

struct RatioInterval {
  double ratio = 1;  ///< median of value over median of base; paired: median of the ratios
  double low = 1;
  double high = 1;
  bool paired = false;
};

/// The fewest samples of each for which an interval says something.
inline constexpr size_t kRatioSamplesLeast = 5;

/// `paired`: the i-th of both were taken beside one another, so that what slows both cancels out;
/// equal sizes then. nullopt for fewer than kRatioSamplesLeast samples, and when a sample is not
/// positive and finite. REQUIRES: 0 < confidence < 1.
std::optional<RatioInterval> median_ratio(const std::vector<double>& base,
                                          const std::vector<double>& value, bool paired,
                                          double confidence, uint64_t seed = 0);

}  // namespace touchstone
