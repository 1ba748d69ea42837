// Appends JSON to a string, compact as vLLM writes it, in the order of the calls. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace touchstone::server::api {

/// `"…"`; text that is not UTF-8 gets U+FFFD in place of what is ill-formed.
void append_json_string(std::string& out, std::string_view text);
/// Shortest digits that read back as the same double; -inf and NaN become -9999.0, as vLLM clamps
/// log-probabilities.
void append_json_number(std::string& out, double value);
void append_json_integers(std::string& out, std::span<const int32_t> values);
/// The string or null.
void append_json_optional(std::string& out, const std::optional<std::string>& text);

}  // namespace touchstone::server::api
