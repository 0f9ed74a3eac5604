#include "base/check.h"

#include <gtest/gtest.h>

namespace airlock::base {
namespace {

TEST(CheckTest, AFalseConditionAbortsAndNamesItself) {
  const bool door_is_shut = false;
  EXPECT_DEATH(AIRLOCK_CHECK(door_is_shut), "check_test.cc:[0-9]+: CHECK failed: door_is_shut");
}

TEST(CheckTest, AFailedComparisonPrintsItsOperands) {
  const int slots = 3;
  EXPECT_DEATH(AIRLOCK_CHECK_EQ(slots, 4), "slots == 4 \\(3 vs 4\\)");
  EXPECT_DEATH(AIRLOCK_CHECK_NE(slots, 3), "slots != 3 \\(3 vs 3\\)");
  EXPECT_DEATH(AIRLOCK_CHECK_LE(slots, 2), "slots <= 2 \\(3 vs 2\\)");
  EXPECT_DEATH(AIRLOCK_CHECK_LT(slots, 3), "slots < 3 \\(3 vs 3\\)");
}

TEST(CheckTest, WhatHoldsCostsNothingButItsEvaluation) {
  int evaluations = 0;
  AIRLOCK_CHECK(++evaluations == 1);
  AIRLOCK_CHECK_EQ(++evaluations, 2);
  AIRLOCK_CHECK_LE(++evaluations, 3);
  EXPECT_EQ(evaluations, 3);
}

TEST(CheckTest, IsOneStatementInAnIfWithoutBraces) {
  bool took_else = false;
  if (took_else)
    AIRLOCK_CHECK_EQ(1, 1);
  else
    took_else = true;
  EXPECT_TRUE(took_else);
}

}  // namespace
}  // namespace airlock::base
