#include "telemetry/label_values.h"

#include <gtest/gtest.h>

namespace airlock::telemetry {
namespace {

TEST(LabelValues, WhatNobodyCanReadIsEscaped) {
  EXPECT_EQ(printable_label("5F3sa2TJ"), "5F3sa2TJ");
  EXPECT_EQ(printable_label("a\nb\r\x7f"), "a\\x0ab\\x0d\\x7f");
  EXPECT_EQ(printable_label(std::string_view("\0x", 2)), "\\x00x");
  EXPECT_EQ(printable_label("gr\xc3\xbc\xc3\x9f \xff\xc3"), "gr\xc3\xbc\xc3\x9f \\xff\\xc3");
}

TEST(LabelValues, NobodyHasAName) { EXPECT_EQ(printable_label(""), kNobody); }

TEST(LabelValues, AreBoundedAndTheFirstOnesStay) {
  BoundedValues values(2);
  EXPECT_EQ(values.of("a"), "a");
  EXPECT_EQ(values.of("b"), "b");
  EXPECT_EQ(values.of("c"), kOthers);
  EXPECT_EQ(values.of("d"), kOthers);
  EXPECT_EQ(values.of("a"), "a");
  EXPECT_EQ(values.of("b"), "b");
}

}  // namespace
}  // namespace airlock::telemetry
