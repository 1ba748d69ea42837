#include "workload/name_set.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

#include "tests/support/memory.h"

namespace touchstone::workload {
namespace {

TEST(NameSet, NamesThatReadAlikeAreToldApart) {
  NameSet names;
  for (const char* name : {"r7", "r07", "r007", "7", "07", "", "r", "r-7", "R7", "r0", "r00",
                           "r1234567890123456789", "r12345678901234567890"}) {
    EXPECT_TRUE(names.insert(name)) << name;
  }
  for (const char* name : {"r7", "r07", "r007", "7", "07", "", "r", "r-7", "R7", "r0", "r00",
                           "r1234567890123456789", "r12345678901234567890"}) {
    EXPECT_FALSE(names.insert(name)) << name;
  }
}

/// Gaps, orders and stems of all kinds, beyond what is kept as runs.
RC_GTEST_PROP(NameSet, SaysWhatASetSays, ()) {
  NameSet names;
  std::set<std::string> truth;
  const auto stems = *rc::gen::inRange(1, 600);
  const auto numbers = *rc::gen::inRange(1, 50);
  const auto count = *rc::gen::inRange(0, 2000);
  for (int i = 0; i < count; ++i) {
    const std::string name = "s" + std::to_string(*rc::gen::inRange(0, stems)) +
                             (i % 2 == 0 ? "-" : "-0") +
                             std::to_string(*rc::gen::inRange(0, numbers));
    RC_ASSERT(names.insert(name) == truth.insert(name).second);
  }
}

TEST(NameSet, ManyGapsAreKeptToo) {
  NameSet names;
  for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(names.insert("r" + std::to_string(3 * i))) << i;
  for (int i = 0; i < 20'000; ++i) ASSERT_FALSE(names.insert("r" + std::to_string(3 * i))) << i;
  for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(names.insert("r" + std::to_string(3 * i + 1))) << i;
}

TEST(NameSet, NumberedNamesCostNothing) {
  NameSet names;
  const int64_t before = support::resident_bytes();
  for (int i = 0; i < 1'000'000; ++i) ASSERT_TRUE(names.insert("request-" + std::to_string(i)));
  EXPECT_LT(support::resident_bytes() - before, 1 << 20);
}

}  // namespace
}  // namespace touchstone::workload
