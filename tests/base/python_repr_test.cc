#include "base/python_repr.h"

#include <gtest/gtest.h>

#include <limits>

namespace touchstone {
namespace {

// Expected values: CPython 3.11.
TEST(PythonRepr, TextIsQuotedAsPythonDoes) {
  const std::pair<const char*, const char*> rows[] = {{"", "''"},
                                                      {"a b", "'a b'"},
                                                      {"it's", "\"it's\""},
                                                      {"'\"", "'\\'\"'"},
                                                      {"a\\b", "'a\\\\b'"},
                                                      {"\n\r\t", "'\\n\\r\\t'"},
                                                      {"\x01\x7f", "'\\x01\\x7f'"},
                                                      {"é漢", "'é漢'"}};
  for (const auto& [text, expected] : rows) EXPECT_EQ(python_repr(text), expected);
}

TEST(PythonRepr, FloatsAreTheShortestThatReadBack) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::pair<double, const char*> rows[] = {{0, "0.0"},
                                                 {-0.0, "-0.0"},
                                                 {2, "2.0"},
                                                 {0.1, "0.1"},
                                                 {1e-4, "0.0001"},
                                                 {1e-5, "1e-05"},
                                                 {1e16, "1e+16"},
                                                 {123456789012345.0, "123456789012345.0"},
                                                 {infinity, "inf"},
                                                 {-infinity, "-inf"},
                                                 {std::numeric_limits<double>::quiet_NaN(), "nan"}};
  for (const auto& [value, expected] : rows) EXPECT_EQ(python_repr(value), expected);
}

}  // namespace
}  // namespace touchstone
