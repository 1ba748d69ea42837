// Where and why a text is not JSON, in the words and positions of Python's json module, which
// vLLM's error messages repeat. Source: CPython 3.12 Lib/json/{decoder,scanner}.py. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
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

/// What reading a text as JSON would take, by one look at its punctuation, JSON or not.
struct JsonExtent {
  int depth = 0;           ///< of arrays and objects
  int64_t tree_bytes = 0;  ///< memory of the values as a tree, at most
};
JsonExtent json_extent(std::string_view text);

}  // namespace touchstone::server::api
