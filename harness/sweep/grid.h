// A grid of simulations as people write it: flags that every point has, and lists of which every
// combination is a point. Schema: harness/sweep/grid.schema.json. Values; thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace touchstone::harness {

struct Grid {
  std::string verb = "simulate";
  /// Flag without dashes and its value; "true" and "false" set and unset a switch.
  std::vector<std::pair<std::string, std::string>> flags;
  /// Keys in alphabetical order; the last changes fastest from point to point.
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;

  int64_t points() const;
  /// The values of point `index` on the axes, in their order. REQUIRES: 0 <= index < points().
  std::vector<std::string> values(int64_t index) const;
  /// The words after `touchstone` that simulate point `index`, JSON on stdout.
  std::vector<std::string> command(int64_t index) const;
};

/// ERRORS: kNotFound, kIo, kInvalidArgument `file:line: field: got, expected`.
Result<Grid> read_grid(const std::string& path);

}  // namespace touchstone::harness
