// Points in time as people and APIs write them. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace touchstone {

/// RFC 3339 with up to nine digits of a second: "2026-11-25T17:04:05.123456789Z", "…+02:00", and a
/// date alone (its first moment, UTC). nullopt for anything else.
std::optional<int64_t> parse_utc(std::string_view text);
/// With nine digits, as APIs that count nanoseconds want it.
std::string format_utc_ns(int64_t unix_ns);

}  // namespace touchstone
