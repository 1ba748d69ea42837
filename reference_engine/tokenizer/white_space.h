// White space at the ends of text. Thread-safe.
#pragma once

#include <cstddef>
#include <string_view>

namespace touchstone::tokenizer {

/// Bytes of the white space that well-formed `text` begins with.
size_t leading_space(std::string_view text);
/// Bytes of well-formed `text` before the white space that it ends with.
size_t without_trailing_space(std::string_view text);
/// Where the last character of well-formed `text` begins. REQUIRES: not empty.
size_t last_character_begin(std::string_view text);

}  // namespace touchstone::tokenizer
