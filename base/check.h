// BASE_CHECK: a bug ends the program with its values, in every build.
// Thread-safe.
#pragma once

#include <sstream>
#include <string>

namespace touchstone::internal {

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& values);

template <typename... Parts>
std::string join_values(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace touchstone::internal

/// Aborts with file, line, condition and the streamed values when `condition` is false.
/// For bugs only: bad input is an Error, a refused request is a value.
#define BASE_CHECK(condition, ...)                                             \
  do {                                                                         \
    if (!(condition)) [[unlikely]] {                                           \
      ::touchstone::internal::check_failed(                                    \
          __FILE__, __LINE__, #condition,                                      \
          ::touchstone::internal::join_values("" __VA_OPT__(, ) __VA_ARGS__)); \
    }                                                                          \
  } while (false)
