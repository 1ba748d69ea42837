// Numbers measured on a rectilinear grid of one or two axes, and between its points by straight
// lines; beyond the last point the last line goes on, before the first the first value holds.
// Immutable after set-up; thread-safe.
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"

namespace touchstone::simulator {

class Grid final {
 public:
  Grid() = default;  ///< empty: zero everywhere
  /// `values`: of rows.size() x columns.size() points, row after row.
  /// ERRORS: kInvalidArgument for an axis that does not rise, another number of values, or values
  /// that are negative or no numbers.
  static Result<Grid> make(std::vector<double> rows, std::vector<double> columns,
                           std::vector<double> values);

  bool empty() const { return values_.empty(); }
  /// At least 0.
  double at(double row, double column) const;
  const std::vector<double>& rows() const { return rows_; }
  const std::vector<double>& columns() const { return columns_; }
  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<double> rows_;
  std::vector<double> columns_;
  std::vector<double> values_;
};

}  // namespace touchstone::simulator
