#include "runner/guest_environment.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>

#include "model/limits.h"

namespace airlock::runner {
namespace {

bool contains(const std::vector<std::string>& env, const std::string& entry) {
  return std::ranges::find(env, entry) != env.end();
}

TEST(GuestEnvironmentTest, NothingIsInherited) {
  ::setenv("AIRLOCK_TEST_SECRET", "1", 1);
  const auto env = make_guest_environment({});
  ASSERT_TRUE(env);
  EXPECT_FALSE(contains(*env, "AIRLOCK_TEST_SECRET=1"));
  EXPECT_TRUE(contains(*env, "HOME=/workspace"));
  EXPECT_TRUE(contains(*env, "PATH=/usr/local/bin:/usr/bin:/bin"));
}

TEST(GuestEnvironmentTest, LaterLayersWin) {
  const auto env = make_guest_environment({{"A=1", "HOME=/tmp"}, {"A=2"}});
  ASSERT_TRUE(env);
  EXPECT_TRUE(contains(*env, "A=2"));
  EXPECT_FALSE(contains(*env, "A=1"));
  EXPECT_TRUE(contains(*env, "HOME=/tmp"));
  EXPECT_FALSE(contains(*env, "HOME=/workspace"));
}

TEST(GuestEnvironmentTest, TheirNumberIsBounded) {
  std::vector<std::string> many;
  for (std::uint32_t i = 0; i <= model::kArgumentsMax; ++i) {
    many.push_back("N" + std::to_string(i) + "=");
  }
  EXPECT_FALSE(make_guest_environment({many}));
}

TEST(GatewayEnvironment, IsAddedWhereTheUserSaysNothingElse) {
  std::vector<std::string> environment = {"A=1", "HTTP_PROXY=http://own:1", "NO_PROXYISH=x"};
  add_missing_variables(environment, gateway_environment());
  EXPECT_TRUE(std::ranges::is_sorted(environment));
  EXPECT_EQ(std::ranges::count(environment, "HTTP_PROXY=http://own:1"), 1);
  EXPECT_EQ(std::ranges::count(environment, "HTTP_PROXY=http://127.0.0.1:3128"), 0);
  EXPECT_EQ(std::ranges::count(environment, "https_proxy=http://127.0.0.1:3128"), 1);
  EXPECT_EQ(std::ranges::count(environment, "NO_PROXY=localhost,127.0.0.1,::1"), 1);
}

}  // namespace
}  // namespace airlock::runner
