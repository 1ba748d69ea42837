// Verbs of the program as a person runs them.
#pragma once

#include <array>
#include <cstdio>
#include <string>

#include "tests/support/paths.h"

namespace touchstone::simulator {

struct Ran {
  int exit_code = -1;
  std::string text;
};

inline constexpr char kMessages[] = "2>&1 >/dev/null";

/// `redirect`: "2>/dev/null" for results, kMessages for what stands on stderr.
inline Ran run_touchstone(const std::string& arguments,
                          const std::string& redirect = "2>/dev/null") {
  const std::string command = support::touchstone_binary() + " " + arguments + " " + redirect;
  Ran ran;
  FILE* const pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t size = fread(buffer.data(), 1, buffer.size(), pipe)) {
    ran.text.append(buffer.data(), size);
  }
  ran.exit_code = pclose(pipe) / 256;
  return ran;
}

}  // namespace touchstone::simulator
