// An adapter that requests may ask for, as it was when somebody looked at it. Value.
#pragma once

#include <cstdint>
#include <string>

#include "reference_engine/backend/backend.h"

namespace touchstone::engine {

struct Adapter {
  int32_t id = 0;         ///< >= 1; never given again, also not to what is loaded in its place
  std::string name;       ///< as clients ask for it
  std::string cache_key;  ///< enters the prefix hash: what another id computed is never found
  backend::AdapterSource source;
};

}  // namespace touchstone::engine
