#include "simulator/steptime/grid.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/text.h"

namespace touchstone::simulator {
namespace {

/// The two points around a place on an axis, and how far it is from the first to the second.
struct Between {
  size_t low = 0;
  size_t high = 0;
  double share = 0;
};

Between between(const std::vector<double>& axis, double place) {
  if (axis.size() == 1 || place <= axis.front()) return {};
  const auto above = std::upper_bound(axis.begin() + 1, axis.end() - 1, place);
  const auto high = static_cast<size_t>(above - axis.begin());
  const double from = axis[high - 1];
  return {high - 1, high, (place - from) / (axis[high] - from)};
}

Status check_axis(const std::vector<double>& axis, const char* name) {
  for (size_t i = 0; i < axis.size(); ++i) {
    const bool good = std::isfinite(axis[i]) && (i == 0 || axis[i] > axis[i - 1]);
    if (good) continue;
    return invalid_argument(std::string(name) + ": got " + format_double(axis[i]) +
                            " at position " + std::to_string(i) + ", expected numbers that rise");
  }
  return {};
}

}  // namespace

Result<Grid> Grid::make(std::vector<double> rows, std::vector<double> columns,
                        std::vector<double> values) {
  RETURN_IF_ERROR(check_axis(rows, "rows"));
  RETURN_IF_ERROR(check_axis(columns, "columns"));
  if (rows.empty() || columns.empty() || values.size() != rows.size() * columns.size()) {
    return invalid_argument(
        "values: got " + std::to_string(values.size()) + " of " + std::to_string(rows.size()) +
        " rows and " + std::to_string(columns.size()) + " columns, expected one for each point");
  }
  for (const double value : values) {
    if (std::isfinite(value) && value >= 0) continue;
    return invalid_argument("values: got " + format_double(value) +
                            ", expected numbers of at least 0");
  }
  Grid grid;
  grid.rows_ = std::move(rows);
  grid.columns_ = std::move(columns);
  grid.values_ = std::move(values);
  return grid;
}

double Grid::at(double row, double column) const {
  if (values_.empty()) return 0;
  const Between r = between(rows_, row);
  const Between c = between(columns_, column);
  const auto along = [&](size_t at_row) {
    const double* line = values_.data() + at_row * columns_.size();
    return line[c.low] + c.share * (line[c.high] - line[c.low]);
  };
  return std::max(0.0, along(r.low) + r.share * (along(r.high) - along(r.low)));
}

}  // namespace touchstone::simulator
