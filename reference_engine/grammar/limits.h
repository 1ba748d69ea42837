// How much a description of an answer may ask for. What is cheap to write and dear to compile, or
// to follow token by token, is refused before anybody compiles it. Values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace touchstone::grammar {

struct GrammarLimits {
  size_t text_bytes_max = 1 << 18;  ///< of a description
  int depth_max = 32;               ///< of a schema's nesting
  /// Of a counted repetition, {m,n}, and of the lengths and counts of a schema.
  int64_t repetition_max = 65'535;
  /// Product of counted repetitions one within the other, and of parts that may be left out within
  /// one, summed over all: where it is open which of them a character belongs to, so many places
  /// must be kept in mind at every token.
  int64_t nested_repetition_max = 1'000;
  size_t alternatives_max = 4'096;  ///< branches of a regex, choices, values of an enum
  size_t optionals_max = 2'048;     ///< parts of a regex that may be left out
  int64_t compile_time_max_ns = 10 * kNsPerSecond;
};

}  // namespace touchstone::grammar
