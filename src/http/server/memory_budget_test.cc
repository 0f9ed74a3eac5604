#include "http/server/memory_budget.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

constexpr std::size_t kMebibyte = 1 << 20;

TEST(MemoryBudgetTest, SharesTogetherStayWithinIt) {
  MemoryBudget budget(10 * kMebibyte);
  MemoryBudget::Share one(budget);
  MemoryBudget::Share other(budget);
  EXPECT_TRUE(one.try_hold(6 * kMebibyte));
  EXPECT_FALSE(budget.has_room_for(5 * kMebibyte));
  EXPECT_FALSE(other.try_hold(5 * kMebibyte));
  EXPECT_EQ(other.bytes(), 0u);
  EXPECT_TRUE(other.try_hold(4 * kMebibyte));
  one.release();
  EXPECT_TRUE(other.try_hold(10 * kMebibyte));
}

TEST(MemoryBudgetTest, WhatIsSmallIsAlwaysLetThrough) {
  MemoryBudget budget(kMebibyte);
  MemoryBudget::Share large(budget);
  large.hold(5 * kMebibyte);
  MemoryBudget::Share small(budget);
  EXPECT_TRUE(small.try_hold(kFreeShareBytes));
  EXPECT_FALSE(small.try_hold(kFreeShareBytes + 1));
}

TEST(MemoryBudgetTest, NothingIsHeldAfterTheEnd) {
  MemoryBudget budget(kMebibyte);
  {
    MemoryBudget::Share share(budget);
    EXPECT_TRUE(share.try_hold(kMebibyte));
    EXPECT_TRUE(share.try_hold(kMebibyte / 2));
    EXPECT_EQ(budget.held(), kMebibyte / 2 - kFreeShareBytes);
  }
  EXPECT_EQ(budget.held(), 0u);
}

}  // namespace
}  // namespace airlock::http
