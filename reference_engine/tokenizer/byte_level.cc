#include "reference_engine/tokenizer/byte_level.h"

#include <array>

#include "base/utf8.h"

namespace touchstone::tokenizer {
namespace {

// Bytes that are printable in Latin-1 stand for themselves; the other 68 get U+0100, U+0101, … in
// order.
constexpr bool stands_for_itself(int32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<int32_t, 256> make_alphabet() {
  std::array<int32_t, 256> alphabet{};
  int32_t next = 0x100;
  for (int32_t byte = 0; byte < 256; ++byte) {
    alphabet[static_cast<size_t>(byte)] = stands_for_itself(byte) ? byte : next++;
  }
  return alphabet;
}

constexpr std::array<int32_t, 256> kAlphabet = make_alphabet();
constexpr int32_t kAlphabetEnd = 0x144;

constexpr std::array<int16_t, kAlphabetEnd> make_inverse() {
  std::array<int16_t, kAlphabetEnd> inverse{};
  for (auto& entry : inverse) entry = -1;
  for (size_t byte = 0; byte < 256; ++byte) {
    inverse[static_cast<size_t>(kAlphabet[byte])] = static_cast<int16_t>(byte);
  }
  return inverse;
}

constexpr std::array<int16_t, kAlphabetEnd> kInverse = make_inverse();

}  // namespace

std::optional<std::string> spelled_bytes(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  while (!token.empty()) {
    const CodePoint c = decode_character(token);
    if (c.value >= kAlphabetEnd || kInverse[static_cast<size_t>(c.value)] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kInverse[static_cast<size_t>(c.value)]));
    token.remove_prefix(c.size);
  }
  return bytes;
}

std::string spell_byte(uint8_t byte) {
  std::string out;
  append_character(kAlphabet[byte], out);
  return out;
}

}  // namespace touchstone::tokenizer
