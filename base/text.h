// Small text helpers: splitting, quoting for messages, numbers with units.
// Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace touchstone {

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);
std::string to_lower(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// The whole text as an integer or a finite number; nullopt for anything else.
std::optional<int64_t> parse_int(std::string_view text);
std::optional<double> parse_double(std::string_view text);

/// `"…"` with control characters escaped, cut after 60 bytes: for "got X" in messages.
std::string quote(std::string_view text);

/// "250ms", "30s", "5m", "2h", "1.5s", "100us", "80ns" → nanoseconds. A bare number is an error.
Result<int64_t> parse_duration_ns(std::string_view text);
/// 1234567890 → "1.235 s"; picks ns, µs, ms, s, min.
std::string format_duration(int64_t ns);
/// Shortest decimal text that reads back as the same double ("0.1", "1e+30").
std::string format_double(double value);
/// Fixed number of decimals.
std::string format_fixed(double value, int decimals);
/// 1234567 → "1,234,567".
std::string format_count(int64_t value);
/// ISO 8601 UTC with milliseconds: 2026-11-21T12:00:00.000Z.
std::string format_utc(int64_t unix_ns);

/// The candidate nearest to `word` by edit distance if it is close enough to be a typo of it.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

/// True when `bytes` is well-formed UTF-8.
bool is_valid_utf8(std::string_view bytes);

}  // namespace touchstone
