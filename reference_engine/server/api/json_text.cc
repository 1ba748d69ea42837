#include "reference_engine/server/api/json_text.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "base/utf8.h"
#include "reference_engine/server/api/python_text.h"

namespace touchstone::server::api {
namespace {

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          std::array<char, 8> escape{};
          std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
          out += escape.data();
        } else {
          out.push_back(c);
        }
    }
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  if (is_valid_utf8(text)) {
    append_escaped(out, text);
  } else {
    std::string repaired;
    append_lossy(text, repaired);
    append_escaped(out, repaired);
  }
  out.push_back('"');
}

void append_json_number(std::string& out, double value) {
  constexpr double kLowest = -9999.0;
  out += python_repr(value > kLowest ? value : kLowest);
}

void append_json_integers(std::string& out, std::span<const int32_t> values) {
  out.push_back('[');
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out.push_back(',');
    out += std::to_string(values[i]);
  }
  out.push_back(']');
}

void append_json_optional(std::string& out, const std::optional<std::string>& text) {
  if (text) {
    append_json_string(out, *text);
  } else {
    out += "null";
  }
}

}  // namespace touchstone::server::api
