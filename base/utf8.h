// UTF-8 as the tokenizers see it: lossy repair by maximal subparts (Unicode 15, section 3.9,
// table 3-8), as Rust's from_utf8_lossy and Python's errors="replace" do. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace touchstone {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

enum class Utf8Kind { kValid, kIncomplete, kInvalid };

struct Utf8Sequence {
  Utf8Kind kind = Utf8Kind::kValid;
  /// kValid: bytes of the character; kIncomplete: all that is left, a start of a character;
  /// kInvalid: bytes that one U+FFFD stands for.
  size_t size = 0;
};

/// The character, or what is wrong, at the start of `bytes`. REQUIRES: not empty.
Utf8Sequence next_sequence(std::string_view bytes);

/// Appends `bytes` with each ill-formed subsequence replaced by U+FFFD.
void append_lossy(std::string_view bytes, std::string& out);

/// Code points in well-formed `text`.
size_t count_characters(std::string_view text);

/// As much of well-formed `text` as `bytes` hold, never half a character.
std::string_view utf8_prefix(std::string_view text, size_t bytes);

/// The code point at the start of well-formed `text`, and its bytes. REQUIRES: not empty.
struct CodePoint {
  int32_t value = 0;
  size_t size = 1;
};
CodePoint decode_character(std::string_view text);

void append_character(int32_t code_point, std::string& out);

/// Unicode White_Space.
bool is_whitespace(int32_t code_point);

}  // namespace touchstone
