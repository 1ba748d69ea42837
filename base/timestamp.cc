#include "base/timestamp.h"

#include <chrono>
#include <cstdio>

#include "base/clock.h"
#include "base/text.h"

namespace touchstone {
namespace {

/// Exactly `digits` digits at the front of `text`, which moves behind them.
std::optional<int> take_number(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int number = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, std::string_view one_of) {
  if (text.empty() || one_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> take_date(std::string_view& text) {
  const auto year = take_number(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = take_number(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = take_number(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day ymd{std::chrono::year(*year),
                                        std::chrono::month(static_cast<unsigned>(*month)),
                                        std::chrono::day(static_cast<unsigned>(*day))};
  if (!ymd.ok()) return std::nullopt;
  return std::chrono::nanoseconds(std::chrono::sys_days(ymd).time_since_epoch()).count();
}

std::optional<int64_t> take_hours_and_minutes(std::string_view& text) {
  const auto hours = take_number(text, 2);
  if (!hours || *hours > 23 || !take(text, ":")) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return (*hours * 60 + *minutes) * 60 * kNsPerSecond;
}

/// ".123" as nanoseconds; 0 where there is none.
std::optional<int64_t> take_fraction(std::string_view& text) {
  if (!take(text, ".")) return 0;
  int64_t ns = 0;
  int64_t unit = kNsPerSecond / 10;
  const size_t size = text.size();
  while (const auto digit = take_number(text, 1)) {
    ns += *digit * unit;
    unit /= 10;
  }
  if (text.size() == size || size - text.size() > 9) return std::nullopt;
  return ns;
}

std::optional<int64_t> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return 0;
  const bool is_east = text.starts_with('+');
  if (!take(text, "+-")) return std::nullopt;
  const auto offset = take_hours_and_minutes(text);
  if (!offset) return std::nullopt;
  return is_east ? *offset : -*offset;
}

}  // namespace

std::optional<int64_t> parse_utc(std::string_view text) {
  const auto date = take_date(text);
  if (!date || text.empty()) return date;
  if (!take(text, "Tt ")) return std::nullopt;
  const auto minutes = take_hours_and_minutes(text);
  if (!minutes || !take(text, ":")) return std::nullopt;
  const auto seconds = take_number(text, 2);
  if (!seconds || *seconds > 59) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  return *date + *minutes + *seconds * kNsPerSecond + *fraction - *offset;
}

std::string format_utc_ns(int64_t unix_ns) {
  std::string text = format_utc(unix_ns);  // …05.123Z
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, "%09dZ", static_cast<int>(unix_ns % kNsPerSecond));
  return text.substr(0, text.size() - 4) + fraction;
}

}  // namespace touchstone
