#include "client/server_url.h"

#include <gtest/gtest.h>

namespace airlock::client {
namespace {

std::string base_of(std::string_view text) {
  const auto url = parse_server_url(text);
  return url ? url->base : "refused";
}

TEST(ServerUrlTest, PortsAreThoseThatServicesHave) {
  EXPECT_EQ(base_of("http://127.0.0.1:8088"), "http://127.0.0.1:8088");
  EXPECT_EQ(base_of("http://localhost/"), "http://localhost:8088");
  EXPECT_EQ(base_of("https://runner.example"), "https://runner.example:443");
  EXPECT_EQ(base_of("https://runner.example/airlock/"), "https://runner.example:443/airlock");
  EXPECT_EQ(base_of("http://[::1]:9"), "http://[::1]:9");
}

TEST(ServerUrlTest, LoopbackIsKnown) {
  EXPECT_TRUE(parse_server_url("http://127.0.0.1:1")->loopback);
  EXPECT_TRUE(parse_server_url("http://localhost")->loopback);
  EXPECT_TRUE(parse_server_url("http://[::1]")->loopback);
  EXPECT_FALSE(parse_server_url("http://10.0.0.1")->loopback);
}

TEST(ServerUrlTest, WhatIsNoServiceIsRefused) {
  for (const char* const text :
       {"", "127.0.0.1:8088", "ftp://host", "file:///etc/passwd", "http://", "http://:80",
        "http://host:0", "http://host:70000", "http://host:x", "http://user:secret@host",
        "http://host/?q=1", "http://host/a/../b", "http://ho st", "http://host\n", "http://::1",
        "http://host/a b", "HTTP://host"}) {
    EXPECT_EQ(base_of(text), "refused") << text;
  }
  EXPECT_EQ(base_of("http://" + std::string(2'000, 'a')), "refused");
}

}  // namespace
}  // namespace airlock::client
