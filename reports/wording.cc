#include "reports/wording.h"

#include <cmath>

#include "base/clock.h"
#include "base/text.h"

namespace touchstone::reports {

const char* verdict_word(result::Verdict verdict) {
  switch (verdict) {
    case result::Verdict::kPass:
      return "PASS";
    case result::Verdict::kFail:
      return "FAIL";
    case result::Verdict::kUnknown:
      return "UNKNOWN";
    case result::Verdict::kSkip:
      return "N/A";
  }
  return "UNKNOWN";
}

std::string seconds_text(double seconds) {
  if (!std::isfinite(seconds)) return "–";
  return format_duration(static_cast<int64_t>(std::llround(seconds * 1e9)));
}

std::string figure_text(const std::string& unit, double value) {
  if (!std::isfinite(value)) return "–";
  if (unit == "s") return seconds_text(value);
  const bool whole = value == std::floor(value) && std::fabs(value) < 1e15;
  return whole ? format_count(static_cast<int64_t>(value)) : format_fixed(value, 3);
}

std::string cell_text(const std::string& unit, const result::Cell& cell) {
  const std::string value = figure_text(unit, cell.value);
  if (!cell.interval) return value;
  return value + " [" + figure_text(unit, cell.interval->low) + ", " +
         figure_text(unit, cell.interval->high) + "]";
}

std::string difference_text(const result::Comparison& row) {
  if (!row.difference) return "–";
  const auto percent = [](double share) {
    return (share < 0 ? "" : "+") + format_fixed(share * 100, 1);
  };
  std::string text = percent(*row.difference) + " %";
  if (row.interval) {
    text += " [" + percent(row.interval->low) + ", " + percent(row.interval->high) + "]";
  }
  return text;
}

}  // namespace touchstone::reports
