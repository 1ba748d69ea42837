// Units of attribute values, as profiles declare them: times are compared in seconds, shares as a
// part of 1, whatever unit a convention sends them in. Pure; thread-safe.
#pragma once

#include <string>

namespace touchstone::conformance {

/// How many base units one `unit` is: 0.001 for "ms", 0.01 for "%", 1 for what is no known unit.
double to_base_unit(const std::string& unit);
/// True for "ns", "us", "ms", "s", "min", "h".
bool is_time_unit(const std::string& unit);

}  // namespace touchstone::conformance
