// adapter_config.json of PEFT: rank and scale of each module. Value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace touchstone::model {

struct AdapterConfig {
  int32_t rank = 0;     ///< >= 1
  double alpha = 0.0;   ///< the scale is alpha / rank
  bool rslora = false;  ///< it is alpha / sqrt(rank)
  /// By module: a name, or its end after a dot.
  std::vector<std::pair<std::string, int32_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;

  int32_t largest_rank() const;
  struct Shape {
    int32_t rank = 0;
    double scale = 0.0;
  };
  /// Of the module with this name in the base model.
  Shape shape_of(std::string_view module) const;
};

/// `name` is what messages call the text. ERRORS: kMalformed with the field; kUnsupported naming
/// the key whose meaning is not implemented (use_dora, modules_to_save, bias, …).
Result<AdapterConfig> parse_adapter_config(const std::string& name, std::string_view text);

}  // namespace touchstone::model
