#include "egress/policy.h"

#include <gtest/gtest.h>

#include "egress/presets.h"

namespace airlock::egress {
namespace {

Policy make(PolicySpec spec) {
  auto policy = Policy::make(spec);
  EXPECT_TRUE(policy) << policy.error().to_string();
  return policy ? *policy : Policy();
}

bool allows(const Policy& policy, const char* authority) {
  const auto destination = parse_destination(authority, 0);
  EXPECT_TRUE(destination) << authority;
  return policy.judge(*destination).allowed;
}

std::string reason(const Policy& policy, const char* authority) {
  return policy.judge(*parse_destination(authority, 0)).reason;
}

TEST(Policy, AllowsNothingByItself) {
  const Policy policy;
  EXPECT_TRUE(policy.allows_nothing());
  EXPECT_FALSE(allows(policy, "example.com:443"));
  EXPECT_EQ(reason(policy, "example.com:443"), "not in the allow-list");
}

TEST(Policy, AHostIsThatHostAtItsPorts) {
  const Policy policy = make({.allow = {"Example.com", "other.org:8443"}});
  EXPECT_TRUE(allows(policy, "example.com:443"));
  EXPECT_TRUE(allows(policy, "example.com:80"));
  EXPECT_TRUE(allows(policy, "other.org:8443"));
  for (const char* refused : {"example.com:22", "www.example.com:443", "notexample.com:443",
                              "example.com.evil.net:443", "other.org:443", "example.co:443"}) {
    EXPECT_FALSE(allows(policy, refused)) << refused;
  }
  EXPECT_EQ(reason(policy, "example.com:22"), "not in the allow-list at this port");
}

TEST(Policy, ASuffixIsWhatLiesBelowIt) {
  for (const char* entry : {".example.com", "*.example.com"}) {
    const Policy policy = make({.allow = {entry}});
    EXPECT_TRUE(allows(policy, "a.example.com:443"));
    EXPECT_TRUE(allows(policy, "a.b.example.com:443"));
    EXPECT_FALSE(allows(policy, "example.com:443"));
    EXPECT_FALSE(allows(policy, "evilexample.com:443"));
  }
}

TEST(Policy, OnlyATcpEntryLetsATunnelCarryAnything) {
  const Policy policy = make({.allow = {"tcp://git.example.com:22", "example.com"}});
  EXPECT_EQ(policy.judge({"git.example.com", 22, false}).protocol, Protocol::kAny);
  EXPECT_EQ(policy.judge({"example.com", 443, false}).protocol, Protocol::kTls);
  EXPECT_FALSE(allows(policy, "git.example.com:443"));
}

TEST(Policy, BlockedWinsAtEveryPort) {
  const Policy policy = make({.allow = {".example.com", "tcp://bad.example.com:22", "x.org"},
                              .blocked = {"bad.example.com", ".x.org", "x.org"}});
  EXPECT_TRUE(allows(policy, "good.example.com:443"));
  EXPECT_FALSE(allows(policy, "bad.example.com:443"));
  EXPECT_FALSE(allows(policy, "bad.example.com:22"));
  EXPECT_FALSE(allows(policy, "x.org:443"));
  EXPECT_EQ(reason(policy, "bad.example.com:22"), "blocked by the operator");
}

TEST(Policy, AnAddressIsRefusedUnlessTheOperatorOpenedExactlyThat) {
  const Policy policy =
      make({.allow = {"example.com"}, .private_destinations = {"127.0.0.1:8080", "[fd00::1]:80"}});
  EXPECT_TRUE(allows(policy, "127.0.0.1:8080"));
  EXPECT_TRUE(allows(policy, "[fd00::1]:80"));
  EXPECT_FALSE(allows(policy, "127.0.0.1:8081"));
  EXPECT_FALSE(allows(policy, "127.0.0.2:8080"));
  EXPECT_FALSE(allows(policy, "93.184.216.34:443"));
  EXPECT_EQ(reason(policy, "93.184.216.34:443"), "an address, not a name");
}

TEST(Policy, RefusalsNameWhereTheOperatorSaysIt) {
  const auto policy = Policy::make(
      {.allow = {"example.com"},
       .blocked = {"bad.example"},
       .names = {
           .allow = "the_hosts", .blocked = "the_blocked", .private_destinations = "the_opened"}});
  ASSERT_TRUE(policy);
  const auto asks = [](std::string_view text) { return *parse_destination(text, 0); };
  EXPECT_EQ(policy->judge(asks("bad.example:443")).fix, "the_blocked names it");
  EXPECT_TRUE(policy->judge(asks("10.0.0.1:80")).fix.ends_with("with the_opened"));
  const auto wider = policy->narrowed({"other.example"}, "");
  ASSERT_FALSE(wider);
  EXPECT_TRUE(wider.error().hint.starts_with("the_hosts "));
  const auto narrowed = policy->narrowed({"example.com"}, "");
  EXPECT_EQ(narrowed->judge(asks("bad.example:443")).fix, "the_blocked names it");
}

TEST(Policy, JudgesTheAddressThatANameLedTo) {
  const Policy policy = make({.allow = {"example.com"}, .private_destinations = {"10.0.0.5:443"}});
  EXPECT_TRUE(policy.judge_address(*parse_address("93.184.216.34"), 443).allowed);
  EXPECT_TRUE(policy.judge_address(*parse_address("10.0.0.5"), 443).allowed);
  EXPECT_FALSE(policy.judge_address(*parse_address("10.0.0.5"), 80).allowed);
  EXPECT_EQ(policy.judge_address(*parse_address("10.0.0.6"), 443).reason, "private address");
  EXPECT_EQ(policy.judge_address(*parse_address("::1"), 443).reason, "loopback address");
}

TEST(Policy, RefusesEntriesThatMeanNothingByName) {
  for (const char* entry :
       {"", "https://example.com", "example.com:0", "example.com:http", "1.2.3.4", "127.0.0.1:80",
        "[::1]:80", "ex ample.com", "tcp://a.b", "pipy", "a..b", "example.com/path", ".", "*"}) {
    const auto policy = Policy::make({.allow = {entry}});
    ASSERT_FALSE(policy) << entry;
    EXPECT_NE(policy.error().message.find(std::string("\"") + entry), std::string::npos) << entry;
  }
  EXPECT_FALSE(Policy::make({.blocked = {"example.com:80"}}));
  EXPECT_FALSE(Policy::make({.private_destinations = {"example.com:80"}}));
  EXPECT_FALSE(Policy::make({.private_destinations = {"127.0.0.1"}}));
}

TEST(Policy, EveryPresetCanBeRead) {
  ASSERT_FALSE(presets().empty());
  for (const Preset& preset : presets()) {
    const Policy policy = make({.allow = {std::string(preset.name)}});
    EXPECT_FALSE(policy.allows_nothing()) << preset.name;
  }
  const Policy policy = make({.allow = {"pypi", "huggingface"}});
  EXPECT_TRUE(allows(policy, "files.pythonhosted.org:443"));
  EXPECT_TRUE(allows(policy, "cdn-lfs.hf.co:443"));
  EXPECT_FALSE(allows(policy, "registry.npmjs.org:443"));
}

TEST(Policy, CanBeNarrowedAndNeverWidened) {
  const Policy policy = make({.allow = {".example.com", "example.com", "pypi", "x.org:8443"},
                              .blocked = {"bad.example.com"},
                              .private_destinations = {"127.0.0.1:8080"}});
  const auto narrow =
      policy.narrowed({"a.example.com", ".b.example.com", "pypi", "x.org:8443"}, "");
  ASSERT_TRUE(narrow) << narrow.error().to_string();
  EXPECT_TRUE(allows(*narrow, "a.example.com:443"));
  EXPECT_FALSE(allows(*narrow, "example.com:443"));
  EXPECT_FALSE(allows(*narrow, "127.0.0.1:8080"));
  EXPECT_TRUE(allows(*policy.narrowed({"127.0.0.1:8080"}, ""), "127.0.0.1:8080"));
  EXPECT_FALSE(allows(*policy.narrowed({"bad.example.com"}, ""), "bad.example.com:443"));
  for (const char* wider :
       {"evil.org", ".com", "example.com:22", "x.org", ".x.org:8443", "tcp://example.com:443",
        "npm", "127.0.0.1:8081", "tcp://x.org:8443", ".pypi.org"}) {
    const auto asked = policy.narrowed({wider}, "");
    ASSERT_FALSE(asked) << wider;
    EXPECT_EQ(asked.error().code, base::ErrorCode::kPermissionDenied) << wider;
  }
}

}  // namespace
}  // namespace airlock::egress
