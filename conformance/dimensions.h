// What spans are told apart by when coverage is told by groups. Pure; thread-safe.
#pragma once

#include <string>
#include <vector>

namespace touchstone::conformance {

/// `keys`: attributes of a span or its resource; the first that is there names the group.
struct Dimension {
  std::string name;  ///< "tenant", "model", "operation"
  std::vector<std::string> keys;
};
const std::vector<Dimension>& sighting_dimensions();

}  // namespace touchstone::conformance
