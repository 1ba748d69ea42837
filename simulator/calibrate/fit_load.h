// One load and how much of it may be learned from. Values.
#pragma once

#include <cstddef>

#include "simulator/measured/load.h"

namespace touchstone::simulator {

struct FitLoad {
  const MeasuredLoad* load = nullptr;
  /// The times of the first so many requests are used; of all of them arrivals and lengths. Of
  /// logged steps the same share.
  size_t requests = 0;
};

}  // namespace touchstone::simulator
