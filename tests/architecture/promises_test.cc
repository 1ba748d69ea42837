// docs/promises.md names tests that exist: a row without one says that it is open.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "base/files.h"
#include "base/text.h"
#include "tests/support/paths.h"

namespace touchstone {
namespace {

/// "Suite.Name" of every test in tests/.
std::set<std::string> test_names() {
  static const std::regex kTest(R"(\bTEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\))");
  std::set<std::string> names;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(support::source_dir() + "/tests")) {
    if (entry.path().extension() != ".cc") continue;
    const auto text = read_file(entry.path());
    EXPECT_TRUE(text);
    for (std::sregex_iterator at(text->begin(), text->end(), kTest), end; at != end; ++at) {
      names.insert((*at)[1].str() + "." + (*at)[2].str());
    }
  }
  return names;
}

TEST(Promises, EachHasATestThatExistsOrIsOpen) {
  const auto text = read_file(support::source_dir() + "/docs/promises.md");
  ASSERT_TRUE(text) << text.error().message;
  const std::set<std::string> known = test_names();
  EXPECT_GT(known.size(), 500u);
  std::set<std::string> numbers;
  static const std::regex kQuoted("`([^`]+)`");
  for (const std::string& line : split(*text, '\n')) {
    if (!line.starts_with("| P")) continue;
    const std::vector<std::string> cells = split(line, '|');
    ASSERT_EQ(cells.size(), 6u) << line;
    const std::string number(trim(cells[1]));
    EXPECT_TRUE(numbers.insert(number).second) << number << " comes twice";
    int tests = 0;
    for (std::sregex_iterator at(cells[4].begin(), cells[4].end(), kQuoted), end; at != end; ++at) {
      const std::string name = (*at)[1];
      EXPECT_TRUE(known.contains(name)) << number << ": no test " << name;
      ++tests;
    }
    EXPECT_EQ(tests == 0, trim(cells[3]) == "open") << line;
  }
  // Seven, seven, six, four and five of the five texts.
  EXPECT_EQ(numbers.size(), 29u);
}

}  // namespace
}  // namespace touchstone
