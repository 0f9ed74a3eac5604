#include "egress/socks.h"

#include <gtest/gtest.h>

namespace airlock::egress {
namespace {

using std::string_literals::operator""s;

TEST(Socks, GreetingNeedsTheMethodWithoutAuthentication) {
  EXPECT_EQ(read_socks_greeting("\x05\x02\x02\x00"s).step, SocksStep::kTaken);
  EXPECT_EQ(read_socks_greeting("\x05\x02\x02\x00more"s).size, 4u);
  EXPECT_EQ(read_socks_greeting("\x05\x01\x02"s).step, SocksStep::kRefused);
  EXPECT_EQ(read_socks_greeting("\x05\x00"s).step, SocksStep::kRefused);
  EXPECT_EQ(read_socks_greeting("\x04\x01"s).step, SocksStep::kRefused);
  EXPECT_EQ(read_socks_greeting("\x05\x02\x02"s).step, SocksStep::kIncomplete);
}

TEST(Socks, RequestNamesAHost) {
  const std::string text = "\x05\x01\x00\x03\x0b"s + "Example.com" + "\x01\xbb"s;
  const SocksRequest request = read_socks_request(text + "early");
  EXPECT_EQ(request.step, SocksStep::kTaken);
  EXPECT_EQ(request.size, text.size());
  EXPECT_EQ(request.destination.to_string(), "example.com:443");
  EXPECT_FALSE(request.destination.is_address);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(read_socks_request(text.substr(0, size)).step, SocksStep::kIncomplete) << size;
  }
}

TEST(Socks, AddressesAreKnownAsSuchInEveryForm) {
  for (const std::string& text : {"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"s,
                                  "\x05\x01\x00\x03\x09"s + "127.0.0.1" + "\x00\x50"s}) {
    const SocksRequest request = read_socks_request(text);
    EXPECT_EQ(request.step, SocksStep::kTaken);
    EXPECT_TRUE(request.destination.is_address);
    EXPECT_EQ(request.destination.to_string(), "127.0.0.1:80");
  }
  const std::string v6 = "\x05\x01\x00\x04"s + std::string(15, '\0') + "\x01\x00\x50"s;
  EXPECT_EQ(read_socks_request(v6).destination.to_string(), "[::1]:80");
}

TEST(Socks, RefusesWhatIsNotServed) {
  const auto reply_of = [](const std::string& text) {
    const SocksRequest request = read_socks_request(text);
    EXPECT_EQ(request.step, SocksStep::kRefused);
    return request.reply;
  };
  EXPECT_EQ(reply_of("\x05\x02\x00\x03\x01"s), SocksReply::kCommand);  // BIND
  EXPECT_EQ(reply_of("\x05\x03\x00\x03\x01"s), SocksReply::kCommand);  // UDP
  EXPECT_EQ(reply_of("\x05\x01\x00\x02\x01"s), SocksReply::kAddressType);
  EXPECT_EQ(reply_of("\x05\x01\x00\x03\x05"s + "127.1" + "\x00\x50"s), SocksReply::kAddressType);
  EXPECT_EQ(reply_of("\x05\x01\x00\x03\x03"s + "a.b" + "\x00\x00"s), SocksReply::kFailure);
  EXPECT_EQ(reply_of("\x05\x01\x00\x03\x00\x00\x50"s), SocksReply::kAddressType);
}

}  // namespace
}  // namespace airlock::egress
