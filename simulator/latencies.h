// Latencies of many requests: each is kept up to kMostExact of them, so that quantiles are exact;
// beyond, counts in bins, whose quantiles are within LengthSketch::kError. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "workload/describe.h"

namespace touchstone::simulator {

class Latencies final {
 public:
  static constexpr size_t kMostExact = 1'000'000;
  static constexpr double kError = workload::LengthSketch::kError;

  /// Seconds, at least 0.
  void add(double value);
  bool empty() const { return count() == 0; }
  int64_t count() const;
  bool exact() const { return !sketch_.has_value(); }
  /// REQUIRES: !empty().
  double mean() const;
  /// REQUIRES: !empty(), 0 <= q <= 1.
  double quantile(double q) const;
  /// `count` quantiles from the least to the most, evenly spaced. REQUIRES: !empty(), count >= 2.
  std::vector<double> quantiles(size_t count) const;

 private:
  std::vector<double> values_;
  std::optional<workload::LengthSketch> sketch_;
};

}  // namespace touchstone::simulator
