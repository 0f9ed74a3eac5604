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

}  // namespace
}  // namespace airlock::runner
