#include "base/python_repr.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace touchstone {

std::string python_repr(std::string_view text) {
  const bool use_double =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char delimiter = use_double ? '"' : '\'';
  std::string out(1, delimiter);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == delimiter || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\x%02x", byte);
      out += escape.data();
    } else {
      out.push_back(c);
    }
  }
  out.push_back(delimiter);
  return out;
}

std::string python_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  // Python writes exponents only below 1e-4 and from 1e16 on.
  const double size = std::fabs(value);
  const bool scientific = size != 0 && (size < 1e-4 || size >= 1e16);
  std::array<char, 64> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string out(buffer.data(), end.ptr);
  if (!scientific && out.find('.') == std::string::npos) out += ".0";
  return out;
}

}  // namespace touchstone
