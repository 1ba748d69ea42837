// Numbers as every report writes them. Pure; thread-safe.
#pragma once

#include <string>

namespace touchstone::reports {

/// "12.94 ms"; "–" for what is not a number.
std::string seconds_text(double seconds);
/// A figure of `unit`: seconds as seconds_text(), whole numbers with separators, others to three
/// decimals; "–" for what is not a number.
std::string figure_text(const std::string& unit, double value);

}  // namespace touchstone::reports
