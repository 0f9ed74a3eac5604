#include "base/host_port.h"

#include <gtest/gtest.h>

namespace airlock::base {
namespace {

TEST(HostPortTest, TheLastColonOutsideOfBracketsSeparates) {
  EXPECT_EQ(split_host_port("localhost:8088").host, "localhost");
  EXPECT_EQ(split_host_port("localhost:8088").port, "8088");
  EXPECT_EQ(split_host_port("[::1]:80").host, "[::1]");
  EXPECT_EQ(split_host_port("[::1]:80").port, "80");
  EXPECT_EQ(split_host_port("a:b:c").host, "a:b");
}

TEST(HostPortTest, WithoutAPortThereIsNone) {
  EXPECT_EQ(split_host_port("[::1]").host, "[::1]");
  EXPECT_EQ(split_host_port("[::1]").port, std::nullopt);
  EXPECT_EQ(split_host_port("").port, std::nullopt);
  EXPECT_EQ(split_host_port("localhost:").port, "");
}

}  // namespace
}  // namespace airlock::base
