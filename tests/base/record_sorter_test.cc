// Records that do not fit in memory come out as those that do.
#include "base/record_sorter.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace touchstone {
namespace {

constexpr size_t kKeyBytes = 2;

std::vector<std::string> sorted(const std::vector<std::string>& records, size_t memory_bytes) {
  RecordSorter sorter({.key_bytes = kKeyBytes, .memory_bytes = memory_bytes});
  for (const std::string& record : records) EXPECT_TRUE(sorter.add(record).has_value());
  std::vector<std::string> visited;
  const Status status = sorter.visit_sorted([&](std::string_view record) -> Status {
    visited.emplace_back(record);
    return {};
  });
  EXPECT_TRUE(status.has_value());
  return visited;
}

/// By key alone, as std::stable_sort has it.
std::vector<std::string> expected(std::vector<std::string> records) {
  std::stable_sort(records.begin(), records.end(), [](const auto& a, const auto& b) {
    return a.compare(0, kKeyBytes, b, 0, kKeyBytes) < 0;
  });
  return records;
}

RC_GTEST_PROP(RecordSorter, OrdersByKeyAndThenByArrivalWhateverFitsInMemory, ()) {
  const auto bodies = *rc::gen::arbitrary<std::vector<std::string>>();
  std::vector<std::string> records;
  for (const std::string& body : bodies) {
    const auto key =
        *rc::gen::container<std::string>(kKeyBytes, rc::gen::element('a', 'b', '\xff'));
    records.push_back(key + body);
  }
  const auto memory_bytes = *rc::gen::inRange<size_t>(0, 2000);
  RC_ASSERT(sorted(records, memory_bytes) == expected(records));
}

/// So many runs that some are merged before the others.
TEST(RecordSorter, MergesManyRuns) {
  std::vector<std::string> records;
  for (uint32_t i = 0; i < 1000; ++i) {
    const uint32_t key = i * 7919 % 256;
    records.push_back({static_cast<char>(key), 'x'});
    records.back() += std::to_string(i);
  }
  EXPECT_EQ(sorted(records, 1), expected(records));
}

/// One is larger than what is read of a run at once.
TEST(RecordSorter, HoldsLongRecords) {
  std::vector<std::string> records;
  for (const char key : {'c', 'a', 'b'}) {
    records.push_back(std::string(size_t{1} << 20, key));
    records.push_back(std::string(3, key));
  }
  EXPECT_EQ(sorted(records, 1), expected(records));
  EXPECT_EQ(sorted(records, size_t{1} << 30), expected(records));
}

TEST(RecordSorter, StopsAtTheVisitorsError) {
  RecordSorter sorter({.key_bytes = 1, .memory_bytes = 1});
  for (const char* record : {"b", "a", "c"}) ASSERT_TRUE(sorter.add(record).has_value());
  std::string visited;
  const Status status = sorter.visit_sorted([&](std::string_view record) -> Status {
    visited += record;
    return record == "b" ? Status(malformed("enough")) : Status();
  });
  EXPECT_EQ(visited, "ab");
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message, "enough");
}

}  // namespace
}  // namespace touchstone
