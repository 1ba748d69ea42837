#include "http/query.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

#include "base/ids.h"
#include "base/text.h"

namespace touchstone::http {

std::string percent_decoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    uint8_t byte = 0;
    if (text[i] == '%' && from_hex(text.substr(i + 1, 2), &byte, 1)) {
      result += static_cast<char>(byte);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != text.npos;
    if (plain && byte < 0x80) {
      result += c;
    } else {
      result += '%' + to_hex(&byte, 1);
    }
  }
  return result;
}

Query Query::of_target(std::string_view target) {
  Query query;
  const size_t mark = target.find('?');
  if (mark == std::string_view::npos) return query;
  for (const std::string& pair : split(target.substr(mark + 1), '&')) {
    if (pair.empty()) continue;
    std::string spaced = pair;
    std::replace(spaced.begin(), spaced.end(), '+', ' ');
    const size_t equals = spaced.find('=');
    const std::string_view name = std::string_view(spaced).substr(0, equals);
    const std::string_view value = equals == std::string::npos
                                       ? std::string_view()
                                       : std::string_view(spaced).substr(equals + 1);
    query.add(percent_decoded(name), percent_decoded(value));
  }
  return query;
}

std::optional<std::string> Query::value(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names) {
    for (const auto& [key, value] : pairs_) {
      if (key == name) return value;
    }
  }
  return std::nullopt;
}

std::vector<std::string> Query::values(std::string_view name) const {
  std::vector<std::string> found;
  for (const auto& [key, value] : pairs_) {
    if (key == name) found.push_back(value);
  }
  return found;
}

std::string Query::text() const {
  std::string text;
  for (const auto& [name, value] : pairs_) {
    text += (text.empty() ? "?" : "&") + percent_encoded(name) + "=" + percent_encoded(value);
  }
  return text;
}

}  // namespace touchstone::http
