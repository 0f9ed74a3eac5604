#include "model/isolation.h"

#include <gtest/gtest.h>

namespace airlock::model {
namespace {

TEST(IsolationTest, LevelsAreOrderedFromWeakToStrong) {
  EXPECT_LT(IsolationLevel::kProcess, IsolationLevel::kContainer);
  EXPECT_LT(IsolationLevel::kContainer, IsolationLevel::kKernel);
}

TEST(IsolationTest, ALevelIsFoundByItsName) {
  for (const IsolationLevel level :
       {IsolationLevel::kProcess, IsolationLevel::kContainer, IsolationLevel::kKernel}) {
    EXPECT_EQ(find_isolation_level(isolation_level_name(level)), level);
  }
  EXPECT_EQ(isolation_level_name(IsolationLevel::kProcess), "process");
  EXPECT_EQ(isolation_level_name(IsolationLevel::kContainer), "container");
  EXPECT_EQ(isolation_level_name(IsolationLevel::kKernel), "kernel");
}

TEST(IsolationTest, AnythingElseIsNoLevel) {
  for (const std::string_view name : {"", "Container", "container ", "vm", "unknown"}) {
    EXPECT_EQ(find_isolation_level(name), std::nullopt) << name;
  }
}

TEST(IsolationTest, CgroupVersionsHaveTheNamesOfTheResultObject) {
  EXPECT_EQ(cgroup_version_name(CgroupVersion::kNone), "none");
  EXPECT_EQ(cgroup_version_name(CgroupVersion::kV1), "v1");
  EXPECT_EQ(cgroup_version_name(CgroupVersion::kV2), "v2");
  EXPECT_EQ(cgroup_version_name(CgroupVersion::kHybrid), "hybrid");
}

}  // namespace
}  // namespace airlock::model
