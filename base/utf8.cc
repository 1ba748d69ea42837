#include "base/utf8.h"

#include <utf8proc.h>

#include "base/check.h"

namespace touchstone {
namespace {

struct Lead {
  size_t size = 0;            // 0: cannot start a character
  uint8_t second_low = 0x80;  // range of the second byte, both ends included
  uint8_t second_high = 0xBF;
};

Lead classify(uint8_t byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {0};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};  // no surrogates
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

}  // namespace

Utf8Sequence next_sequence(std::string_view bytes) {
  BASE_CHECK(!bytes.empty());
  const Lead lead = classify(static_cast<uint8_t>(bytes[0]));
  if (lead.size == 0) return {Utf8Kind::kInvalid, 1};
  for (size_t i = 1; i < lead.size; ++i) {
    if (i == bytes.size()) return {Utf8Kind::kIncomplete, i};
    const auto byte = static_cast<uint8_t>(bytes[i]);
    const uint8_t low = i == 1 ? lead.second_low : 0x80;
    const uint8_t high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {Utf8Kind::kInvalid, i};
  }
  return {Utf8Kind::kValid, lead.size};
}

void append_lossy(std::string_view bytes, std::string& out) {
  while (!bytes.empty()) {
    const Utf8Sequence sequence = next_sequence(bytes);
    if (sequence.kind == Utf8Kind::kValid) {
      out.append(bytes.substr(0, sequence.size));
    } else {
      out.append(kReplacementCharacter);
    }
    bytes.remove_prefix(sequence.size);
  }
}

std::string_view utf8_prefix(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (const char c : text) {
    if ((static_cast<uint8_t>(c) & 0xC0) != 0x80) ++count;
  }
  return count;
}

CodePoint decode_character(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {first, 1};
  const size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  BASE_CHECK(text.size() >= size, "not well-formed UTF-8");
  int32_t value = first & (0xFF >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    value = (value << 6) | (static_cast<uint8_t>(text[i]) & 0x3F);
  }
  return {value, size};
}

void append_character(int32_t code_point, std::string& out) {
  utf8proc_uint8_t buffer[4];
  const auto size = utf8proc_encode_char(code_point, buffer);
  out.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(size));
}

bool is_whitespace(int32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace touchstone
