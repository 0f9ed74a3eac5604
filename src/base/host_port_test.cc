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

TEST(HostPortTest, APortIsAPlainNumber) {
  EXPECT_EQ(parse_port("1"), 1);
  EXPECT_EQ(parse_port("443"), 443);
  EXPECT_EQ(parse_port("65535"), 65'535);
  for (const char* text : {"", "0", "00", "0443", "+443", "-1", "65536", "443 ", "4 4", "0x50"}) {
    EXPECT_FALSE(parse_port(text)) << text;
  }
}

}  // namespace
}  // namespace airlock::base
