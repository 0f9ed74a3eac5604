#include "egress/address.h"

#include <gtest/gtest.h>

namespace airlock::egress {
namespace {

std::string refusal_of(std::string_view text) {
  const auto address = parse_address(text);
  if (!address) return "not an address";
  return std::string(find_refusal(*address).value_or(""));
}

TEST(Address, OrdinaryOnesOfTheInternetAreNotRefused) {
  for (const char* text :
       {"1.1.1.1", "9.9.9.9", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.255.255",
        "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888"}) {
    EXPECT_EQ(refusal_of(text), "") << text;
  }
}

TEST(Address, EveryRangeThatIsNoInternetIsRefusedFromItsFirstToItsLast) {
  for (const char* text : {"0.0.0.0",
                           "0.255.255.255",
                           "10.0.0.0",
                           "10.255.255.255",
                           "100.64.0.0",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.255",
                           "169.254.0.0",
                           "169.254.255.255",
                           "172.16.0.0",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.1",
                           "192.88.99.1",
                           "192.168.0.0",
                           "192.168.255.255",
                           "198.18.0.0",
                           "198.19.255.255",
                           "198.51.100.1",
                           "203.0.113.1",
                           "224.0.0.0",
                           "239.255.255.255",
                           "240.0.0.0",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "fc00::",
                           "fdff::1",
                           "fe80::1",
                           "febf::1",
                           "fec0::1",
                           "ff02::1",
                           "100::1",
                           "4000::1",
                           "2001:db8::1",
                           "2001::1",
                           "2001:1ff::1",
                           "3fff::1",
                           "5f00::1"}) {
    EXPECT_NE(refusal_of(text), "") << text;
  }
}

TEST(Address, AnAddressInsideOfAnotherIsRefusedWhateverItIs) {
  for (const char* text :
       {"::ffff:1.1.1.1", "::ffff:127.0.0.1", "::127.0.0.1", "::1.1.1.1", "64:ff9b::7f00:1",
        "64:ff9b::101:101", "64:ff9b:1::1", "2002:7f00:1::", "2002:101:101::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2a00:1450:4001::200:5efe:7f00:1"}) {
    EXPECT_NE(refusal_of(text).find("IPv4 address inside"), std::string::npos) << text;
  }
}

TEST(Address, MetadataOfCloudsIsNamedAsSuch) {
  for (const char* text : {"169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16",
                           "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"}) {
    EXPECT_EQ(refusal_of(text), "metadata address of a cloud") << text;
  }
}

TEST(Address, IsReadInItsUsualSpellingOnly) {
  for (const char* text :
       {"127.1", "0x7f.0.0.1", "127.0.0.01", "1.2.3", "fe80::1%lo", "[::1]", ""}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
  EXPECT_EQ(parse_address("2001:DB8:0::1")->to_string(), "2001:db8::1");
}

TEST(Address, ThoseOfThisMachineAreItsOwn) {
  EXPECT_TRUE(is_own_address(*parse_address("127.0.0.1")));
  EXPECT_FALSE(is_own_address(*parse_address("93.184.216.34")));
}

}  // namespace
}  // namespace airlock::egress
