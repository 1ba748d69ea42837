// A data file that is part of the program; cmake/embed.cmake makes tables of them. Values.
#pragma once

#include <string_view>
#include <vector>

namespace touchstone {

struct EmbeddedText {
  std::string_view name;  ///< of the file, without its folder
  std::string_view text;
};

}  // namespace touchstone
