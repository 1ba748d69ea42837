#include "reference_engine/model/spec.h"

#include <algorithm>
#include <cmath>

namespace touchstone::model {

std::optional<int32_t> Spec::window(int32_t layer) const {
  return windows.empty() ? std::nullopt : windows[static_cast<size_t>(layer)];
}

std::optional<int32_t> Spec::common_window() const {
  if (windows.empty()) return std::nullopt;
  const bool equal = std::all_of(windows.begin(), windows.end(),
                                 [&](const auto& one) { return one == windows.front(); });
  return equal ? windows.front() : std::nullopt;
}

std::vector<float> rope_table(double theta, int32_t head_dim) {
  std::vector<float> table;
  for (int32_t i = 0; i < head_dim; i += 2) {
    const double exponent = static_cast<float>(i) / static_cast<float>(head_dim);
    const float power = static_cast<float>(std::pow(static_cast<float>(theta), exponent));
    table.push_back(1.0F / power);
  }
  return table;
}

}  // namespace touchstone::model
