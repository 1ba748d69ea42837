// Where the Unicode versions of Hugging Face's tokenizers are not those of our libraries: classes
// of patterns (Oniguruma, Unicode 16; PCRE2 10.42 has 14) and normalization forms (Unicode 12;
// utf8proc 2.8 has 15, and drops U+11A7 after a syllable). Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace touchstone::tokenizer {

/// What a PCRE2 class lacks of the general category (Lu) or group of categories (L): members of a
/// class in PCRE2's syntax; empty when it lacks none.
std::string_view newer_members(std::string_view category);

/// What \w takes beyond letters, marks, decimal digits, letter numbers and connectors.
extern const std::string_view kOtherWordCharacters;

/// Whether the normalization forms of Hugging Face's tokenizers take it for a character that never
/// changes nor joins others.
bool is_unknown_to_forms(int32_t code_point);

}  // namespace touchstone::tokenizer
