// Where and why a text is not JSON, in the words and positions of Python's json module, which
// vLLM's error messages repeat. Source: CPython 3.12 Lib/json/{decoder,scanner}.py. Thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace touchstone::server::api {

struct JsonSyntaxError {
  size_t position = 0;  ///< in characters, not bytes
  std::string message;
};

/// nullopt when Python would accept `text` (NaN and Infinity included) or its nesting is deeper
/// than `depth_max`.
std::optional<JsonSyntaxError> find_json_error(std::string_view text, int depth_max = 256);

/// The deepest nesting of arrays and objects in `text`, JSON or not.
int nesting_depth(std::string_view text);

}  // namespace touchstone::server::api
