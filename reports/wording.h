// Verdicts and numbers as people read them, in every report. Pure; thread-safe.
#pragma once

#include <string>

#include "result/result_model.h"

namespace touchstone::reports {

/// "PASS", "FAIL", "UNKNOWN", "N/A".
const char* verdict_word(result::Verdict verdict);

/// "12.94 ms"; "–" for what is not a number.
std::string seconds_text(double seconds);
/// A figure of `unit`: seconds as seconds_text(), whole numbers with separators, others to three
/// decimals; "–" for what is not a number.
std::string figure_text(const std::string& unit, double value);

/// figure_text() of a cell, with its interval when it has one: "12.9 ms [12.1 ms, 13.4 ms]".
std::string cell_text(const std::string& unit, const result::Cell& cell);
/// "+1.3 %", with the interval when there is one: "+1.3 % [-0.2, +2.9]"; "–" when there is none.
std::string difference_text(const result::Comparison& row);

}  // namespace touchstone::reports
