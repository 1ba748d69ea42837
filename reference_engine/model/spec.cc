#include "reference_engine/model/spec.h"

#include <cmath>

namespace touchstone::model {

std::vector<float> rope_table(double theta, int32_t head_dim) {
  std::vector<float> table;
  for (int32_t i = 0; i < head_dim; i += 2) {
    const double exponent = static_cast<float>(i) / static_cast<float>(head_dim);
    const float power = static_cast<float>(std::pow(theta, exponent));
    table.push_back(1.0F / power);
  }
  return table;
}

}  // namespace touchstone::model
