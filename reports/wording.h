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

}  // namespace touchstone::reports
