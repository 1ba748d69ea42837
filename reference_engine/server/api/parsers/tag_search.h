// Finds a tag in text that comes in pieces. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace touchstone::server::api {

/// Length of the longest end of `text` that could be the beginning of `tag`.
inline size_t partial_tag(std::string_view text, std::string_view tag) {
  for (size_t size = std::min(text.size(), tag.size() - 1); size > 0; --size) {
    if (text.substr(text.size() - size) == tag.substr(0, size)) return size;
  }
  return 0;
}

}  // namespace touchstone::server::api
