#include "reference_engine/tokenizer/white_space.h"

#include <cstdint>

#include "base/utf8.h"

namespace touchstone::tokenizer {

size_t leading_space(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    const CodePoint c = decode_character(text.substr(size));
    if (!is_whitespace(c.value)) break;
    size += c.size;
  }
  return size;
}

size_t without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    const size_t begin = last_character_begin(text);
    if (!is_whitespace(decode_character(text.substr(begin)).value)) break;
    text = text.substr(0, begin);
  }
  return text.size();
}

size_t last_character_begin(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

}  // namespace touchstone::tokenizer
