#include "http/byte_budget.h"

#include <gtest/gtest.h>

namespace touchstone::http {
namespace {

TEST(ByteBudget, ALeaseGrowsWithinTheBudgetAndGivesBackAtItsEnd) {
  ByteBudget budget(100);
  {
    ByteBudget::Lease first(budget);
    EXPECT_TRUE(first.resize(60));
    ByteBudget::Lease second(budget);
    EXPECT_FALSE(second.grow(41));
    EXPECT_EQ(second.bytes(), 0);
    EXPECT_TRUE(second.grow(40));
    EXPECT_FALSE(first.grow(1));
    EXPECT_TRUE(first.resize(10));
    EXPECT_EQ(budget.used_bytes(), 50);
  }
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(ByteBudget, AMovedLeaseIsHeldOnce) {
  ByteBudget budget(100);
  ByteBudget::Lease first(budget);
  ASSERT_TRUE(first.resize(70));
  ByteBudget::Lease second(std::move(first));
  EXPECT_EQ(budget.used_bytes(), 70);
  {
    ByteBudget::Lease third(budget);
    ASSERT_TRUE(third.resize(5));
    third = std::move(second);
    EXPECT_EQ(third.bytes(), 70);
  }
  EXPECT_EQ(second.bytes(), 5) << "assignment swaps: nothing is let go of early";
  EXPECT_EQ(budget.used_bytes(), 5);
}

TEST(ByteBudget, ALeaseWithoutABudgetMayHaveAnySize) {
  ByteBudget::Lease lease;
  EXPECT_TRUE(lease.resize(INT64_MAX));
}

}  // namespace
}  // namespace touchstone::http
