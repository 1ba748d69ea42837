#include "reports/escape.h"

#include <cstdint>
#include <optional>

#include "base/text.h"

namespace touchstone::reports {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Length of the well-formed UTF-8 sequence at the front of `text`; 0 when it is ill-formed.
size_t sequence_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (length > text.size() || !is_valid_utf8(text.substr(0, length))) return 0;
  return length;
}

/// Calls `visit(piece)` for each character, the replacement character for ill-formed bytes.
template <typename Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text.substr(i));
    visit(length == 0 ? kReplacement : text.substr(i, length));
    i += length == 0 ? 1 : length;
  }
}

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (first < 0x20 || first == 0x7F) return true;
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
      out += kReplacement;
    } else {
      out += character;
    }
  });
  return out;
}

std::string plain_line(std::string_view text) {
  std::string out;
  for_each_character(text, [&](std::string_view character) {
    if (character == "\n" || character == "\t" || character == "\r") {
      out += ' ';
    } else {
      out += is_control(character) ? kReplacement : character;
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
