#include "base/result.h"

#include <gtest/gtest.h>

namespace touchstone {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0)
    return invalid_argument("value: got " + std::to_string(value) + ", expected an even number");
  return value / 2;
}

Status quarter(int value, int& out) {
  Result<int> first = half(value);
  if (!first) return std::move(first).error().with_context("quarter");
  RETURN_IF_ERROR(half(*first));
  out = *first / 2;
  return {};
}

TEST(Result, HoldsAValueOrAnErrorWithItsContext) {
  int out = 0;
  EXPECT_TRUE(quarter(8, out));
  EXPECT_EQ(out, 2);
  const Status odd = quarter(3, out);
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(odd.error().message, "quarter: value: got 3, expected an even number");
  EXPECT_FALSE(quarter(6, out));
}

TEST(ResultDeathTest, ReadingTheValueOfAnErrorIsABug) {
  EXPECT_DEATH((void)*half(1), "check failed: has_value.*got 1, expected an even number");
}

}  // namespace
}  // namespace touchstone
