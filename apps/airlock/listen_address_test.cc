#include "apps/airlock/listen_address.h"

#include <gtest/gtest.h>

namespace airlock::apps {
namespace {

TEST(ListenAddressTest, UrlsAreTakenApart) {
  const auto plain = parse_listen_address("http://127.0.0.1:8088");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, 8088);
  EXPECT_TRUE(plain->loopback);
  EXPECT_EQ(parse_listen_address("http://localhost")->port, 8088);
  EXPECT_TRUE(parse_listen_address("http://[::1]:1/")->loopback);
  EXPECT_TRUE(parse_listen_address("http://127.9.9.9:1")->loopback);
  EXPECT_FALSE(parse_listen_address("http://0.0.0.0:8088")->loopback);
  EXPECT_FALSE(parse_listen_address("http://[::]:8088")->loopback);
  EXPECT_FALSE(parse_listen_address("http://192.0.2.1")->loopback);
}

TEST(ListenAddressTest, WhatIsNoAddressIsRefusedWithAnExample) {
  for (const char* const url :
       {"", "8088", "127.0.0.1:8088", "https://127.0.0.1:8088", "http://", "http://example.com",
        "http://127.0.0.1:", "http://127.0.0.1:65536", "http://127.0.0.1:80x",
        "http://127.0.0.1:-1", "http://127.0.0.1/x", "http://::1:8088", "http://user@127.0.0.1"}) {
    const auto address = parse_listen_address(url);
    ASSERT_FALSE(address) << url;
    EXPECT_NE(address.error().hint.find("http://127.0.0.1:8088"), std::string::npos);
  }
}

TEST(ListenAddressTest, AListenerTellsItsRealPort) {
  const auto socket = open_listener(*parse_listen_address("http://127.0.0.1:0"));
  ASSERT_TRUE(socket);
  const auto url = listener_url(socket->get());
  ASSERT_TRUE(url);
  const auto address = parse_listen_address(*url);
  ASSERT_TRUE(address);
  EXPECT_NE(address->port, 0);
  const auto taken = open_listener(*address);
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().hint.find("--listen"), std::string::npos);
  EXPECT_TRUE(connect_to(*address, {1, 0}));
}

}  // namespace
}  // namespace airlock::apps
