// Sorting by buckets gives what std::sort gives, whatever the keys.
#include "base/bucket_sort.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace touchstone {
namespace {

using Item = std::pair<uint64_t, uint32_t>;

void expect_sorted(std::vector<Item> items) {
  std::vector<Item> expected = items;
  std::sort(expected.begin(), expected.end());
  bucket_sort(
      items, [](const Item& item) { return item.first; }, std::less<>());
  EXPECT_EQ(items, expected);
}

TEST(BucketSort, AgreesWithStdSortOnEvenNarrowEqualAndExtremeKeys) {
  for (const size_t count : {0u, 1u, 2u, 64u, 65u, 1000u, 50'000u}) {
    for (const uint64_t factor :
         {uint64_t{0x9e3779b97f4a7c15}, uint64_t{1}, uint64_t{0}, uint64_t{1} << 63}) {
      std::vector<Item> items;
      for (uint32_t i = 0; i < count; ++i) {
        items.emplace_back(factor * i, (i * 7919u) % 1000u);
      }
      SCOPED_TRACE(std::to_string(count) + " items, factor " + std::to_string(factor));
      expect_sorted(std::move(items));
    }
  }
  expect_sorted({{UINT64_MAX, 1}, {0, 2}, {UINT64_MAX, 0}});
}

RC_GTEST_PROP(BucketSort, AgreesWithStdSort, (const std::vector<Item>& items)) {
  std::vector<Item> many;
  for (int i = 0; i < 20; ++i) many.insert(many.end(), items.begin(), items.end());
  expect_sorted(many);
}

}  // namespace
}  // namespace touchstone
