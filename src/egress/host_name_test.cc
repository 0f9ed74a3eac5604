#include "egress/host_name.h"

#include <gtest/gtest.h>

namespace airlock::egress {
namespace {

TEST(HostName, IsLowerCaseWithoutTheDotAtItsEnd) {
  EXPECT_EQ(parse_host_name("Example.COM."), "example.com");
  EXPECT_EQ(parse_host_name("a_b-c.xn--p1ai"), "a_b-c.xn--p1ai");
}

TEST(HostName, RefusesWhatIsNone) {
  for (const char* text : {"", ".", "a..b", ".a", "-a.b", "a-.b", "a b", "a/b", "a@b", "a\tb",
                           "ex\xc3\xa4mple.com", "a.b..", "%61.com"}) {
    EXPECT_FALSE(parse_host_name(text)) << text;
  }
  EXPECT_FALSE(parse_host_name(std::string(64, 'a') + ".com"));
  EXPECT_TRUE(parse_host_name(std::string(63, 'a') + ".com"));
  std::string longest;
  while (longest.size() < 260) longest += "abcdefgh.";
  EXPECT_FALSE(parse_host_name(longest + "com"));
}

TEST(HostName, TakesNoAddressInAnySpelling) {
  for (const char* text : {"1.2.3.4", "127.1", "2130706433", "0x7f000001", "0X7F.1", "1.2.3.4.",
                           "::1", "[::1]", "example.123", "example.0x1", "0x", "::ffff:1.2.3.4"}) {
    EXPECT_TRUE(is_address_like(text)) << text;
    EXPECT_FALSE(parse_host_name(text)) << text;
  }
}

TEST(Destination, IsANameOrAWellFormedAddressWithItsPort) {
  EXPECT_EQ(parse_destination("Example.com:443", 0)->to_string(), "example.com:443");
  EXPECT_EQ(parse_destination("example.com", 80)->to_string(), "example.com:80");
  EXPECT_EQ(parse_destination("[::1]:80", 0)->to_string(), "[::1]:80");
  EXPECT_TRUE(parse_destination("10.0.0.1:80", 0)->is_address);
  for (const char* text :
       {"example.com", "127.1:80", "::1:80", "[10.0.0.1]:80", "[::1:80",
        "example.com:", "example.com:0", "[fe80::1%lo]:80", "[example.com]:80"}) {
    EXPECT_FALSE(parse_destination(text, 0)) << text;
  }
}

}  // namespace
}  // namespace airlock::egress
