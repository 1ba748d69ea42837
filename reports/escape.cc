#include "reports/escape.h"

#include <cstdint>
#include <optional>

#include "base/utf8.h"

namespace touchstone::reports {
namespace {

/// Calls `visit(piece)` for each character, the replacement character for ill-formed bytes.
template <typename Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const Utf8Sequence next = next_sequence(text);
    visit(next.kind == Utf8Kind::kValid ? text.substr(0, next.size) : kReplacementCharacter);
    text.remove_prefix(next.size);
  }
}

/// Marks that turn the direction of what follows (UAX #9): U+061C, U+200E, U+200F, U+202A to
/// U+202E, U+2066 to U+2069. Text could be made to read as something else.
bool is_direction(std::string_view character) {
  if (character == "\xD8\x9C") return true;
  if (character.size() != 3 || character.substr(0, 1) != "\xE2") return false;
  const auto second = static_cast<unsigned char>(character[1]);
  const auto third = static_cast<unsigned char>(character[2]);
  if (second == 0x80) return third == 0x8E || third == 0x8F || (third >= 0xAA && third <= 0xAE);
  return second == 0x81 && third >= 0xA6 && third <= 0xA9;
}

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (first < 0x20 || first == 0x7F || is_direction(character)) return true;
  // U+0080 to U+009F, the C1 controls: some terminals obey them.
  return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

/// U+FFFE and U+FFFF are well-formed UTF-8 but no XML characters.
bool is_noncharacter(std::string_view character) {
  return character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF";
}

std::optional<std::string_view> entity_of(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](std::string_view character) {
    const bool space = character == "\n" || character == "\t";
    if (const auto entity = entity_of(character[0])) {
      out += *entity;
    } else if ((is_control(character) && !space) || is_noncharacter(character)) {
      out += kReplacementCharacter;
    } else {
      out += character;
    }
  });
  return out;
}

std::string escape_markdown(std::string_view text) {
  std::string out;
  for (const char c : plain_line(text)) {
    if (const auto entity = entity_of(c)) {
      out += *entity;
      continue;
    }
    if (std::string_view("\\`*_[]|~#!").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string plain_line(std::string_view text) {
  std::string out;
  for_each_character(text, [&](std::string_view character) {
    if (character == "\n" || character == "\t" || character == "\r") {
      out += ' ';
    } else {
      out += is_control(character) ? kReplacementCharacter : character;
    }
  });
  return out;
}

size_t width_of(std::string_view text) {
  size_t count = 0;
  for_each_character(text, [&](std::string_view) { ++count; });
  return count;
}

std::string shortened(std::string_view text, size_t columns) {
  if (width_of(text) <= columns) return std::string(text);
  std::string out;
  size_t count = 0;
  for_each_character(text, [&](std::string_view character) {
    if (++count < columns) out += character;
  });
  return out + "…";
}

}  // namespace touchstone::reports
