#include "jail/root_skeleton.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace airlock::jail {
namespace {

class RootSkeletonTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/airlock-roots-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/roots")) {
      found.push_back(entry.path().filename());
    }
    return found;
  }
  std::string directory_;
};

TEST_F(RootSkeletonTest, ManyWhoMakeItAtOnceLeaveOneAndNothingElse) {
  constexpr int kMakers = 4;
  int gate[2];
  ASSERT_EQ(pipe(gate), 0);
  for (int maker = 0; maker < kMakers; ++maker) {
    if (fork() != 0) continue;
    HostView view = recall_host_view(directory_);
    char byte = 0;
    const bool together = read(gate[0], &byte, 1) == 1;
    _exit(together && check_host_view(&view).has_value() ? 0 : 1);
  }
  EXPECT_EQ(write(gate[1], "xxxx", kMakers), kMakers);
  close(gate[0]);
  close(gate[1]);
  int status = 0;
  int good = 0;
  while (wait(&status) > 0) good += status == 0 ? 1 : 0;
  EXPECT_EQ(good, kMakers);
  EXPECT_EQ(names().size(), 1U) << testing::PrintToString(names());
}

TEST_F(RootSkeletonTest, ACallersUmaskKeepsNobodyOut) {
  const mode_t before = umask(077);
  HostView view = recall_host_view(directory_);
  EXPECT_TRUE(check_host_view(&view).has_value());
  umask(before);
  for (const std::string& path : {view.roots, view.skeleton, view.skeleton + "/root"}) {
    struct stat status{};
    ASSERT_EQ(stat(path.c_str(), &status), 0) << path;
    EXPECT_EQ(status.st_mode & 0777, 0755u) << path;
  }
}

TEST_F(RootSkeletonTest, TheNextLauncherFindsItAndIsContent) {
  HostView first = recall_host_view(directory_);
  const auto made = check_host_view(&first);
  ASSERT_TRUE(made.has_value() && *made);
  HostView second = recall_host_view(directory_);
  const auto replaced = check_host_view(&second);
  ASSERT_TRUE(replaced.has_value());
  EXPECT_FALSE(*replaced);
  EXPECT_EQ(second.skeleton, first.skeleton);
}

}  // namespace
}  // namespace airlock::jail
