#include "apps/airlock/egress_words.h"

#include <gtest/gtest.h>

namespace airlock::apps {
namespace {

model::EgressEntry entry(std::string host, std::uint16_t port, bool allowed, std::string reason,
                         std::uint64_t connections) {
  model::EgressEntry made;
  made.host = std::move(host);
  made.port = port;
  made.allowed = allowed;
  made.reason = std::move(reason);
  made.connections = connections;
  return made;
}

TEST(EgressWordsTest, WhatWasAllowedAndFailedIsNotCalledReached) {
  model::EgressEntry reached = entry("h.example", 443, true, "", 2);
  reached.bytes_out = 10;
  reached.bytes_in = 2'048;
  EXPECT_EQ(egress_verdict(reached), "reached");
  EXPECT_EQ(describe_egress(reached), "h.example:443, 2 connections, 10 B out, 2 KiB in");
  const auto failed = entry("h.example", 443, true, "the name does not exist", 1);
  EXPECT_EQ(egress_verdict(failed), "failed");
  EXPECT_EQ(describe_egress(failed), "h.example:443: the name does not exist");
}

TEST(EgressWordsTest, ARefusalSaysHowOftenAndWhy) {
  const auto refused = entry("::1", 80, false, "an address, not a name", 3);
  EXPECT_EQ(egress_verdict(refused), "refused");
  EXPECT_EQ(describe_egress(refused), "[::1]:80, 3 times: an address, not a name");
}

TEST(EgressWordsTest, WhatHasNoDestinationIsNotGivenOne) {
  EXPECT_EQ(describe_egress(entry("(others)", 0, false, "", 7)), "(others), 7 times");
  EXPECT_EQ(describe_egress(entry("", 0, false, "neither HTTP nor SOCKS5", 1)),
            "a request that was none: neither HTTP nor SOCKS5");
}

}  // namespace
}  // namespace airlock::apps
