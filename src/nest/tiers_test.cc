#include "nest/tiers.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdlib>

#include "nest/toolchain_copy.h"

namespace airlock::nest {
namespace {

TEST(TiersTest, PathsOfTheSandboxMoveAndOthersStay) {
  EXPECT_EQ(move_path("/workspace", "/p/s0"), "/p/s0/workspace");
  EXPECT_EQ(move_path("/workspace/a/b.py", "/p/s0"), "/p/s0/workspace/a/b.py");
  EXPECT_EQ(move_path("/tmp/x", "/p/s0"), "/p/s0/tmp/x");
  EXPECT_EQ(move_path("/work/x", "/p/s0"), "/p/s0/workspace/x");
  EXPECT_EQ(move_path("/workspaces/x", "/p/s0"), "/workspaces/x");
  EXPECT_EQ(move_path("/usr/bin/python3", "/p/s0"), "/usr/bin/python3");
  EXPECT_EQ(move_path("print('/tmp/x')", "/p/s0"), "print('/tmp/x')");
}

class ToolchainCopyTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(top_.data()), nullptr);
    ASSERT_EQ(mkdir((top_ + "/usr").c_str(), 0755), 0);
    make(top_ + "/usr/program", 0755);
    make(top_ + "/usr/secret", 0700);
    ASSERT_EQ(link((top_ + "/usr/program").c_str(), (top_ + "/usr/again").c_str()), 0);
    ASSERT_EQ(symlink("program", (top_ + "/usr/link").c_str()), 0);
  }
  void TearDown() override {
    const std::string command = "chmod -R u+w " + top_ + " && rm -rf " + top_;
    EXPECT_EQ(std::system(command.c_str()), 0);
  }
  static void make(const std::string& path, mode_t mode) {
    FILE* const file = std::fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fputs("content", file);
    std::fclose(file);
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }
  static struct stat look(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
    return status;
  }
  std::string top_ = "/tmp/toolchain-copy-XXXXXX";
};

TEST_F(ToolchainCopyTest, ARootHasTheSameFilesOnceMoreAndFoldersThatCannotBeWritten) {
  const std::string made = top_ + "/made";
  ASSERT_EQ(std::system(("mkdir -p " + made).c_str()), 0);
  ASSERT_TRUE(link_tree(top_ + "/usr", made).has_value());
  EXPECT_EQ(look(made + "/program").st_ino, look(top_ + "/usr/program").st_ino);
  EXPECT_EQ(look(made + "/again").st_ino, look(top_ + "/usr/program").st_ino);
  EXPECT_TRUE(S_ISLNK(look(made + "/link").st_mode));
  ASSERT_TRUE(seal_folders(made).has_value());
  EXPECT_EQ(look(made).st_mode & 07777, 0555u);
}

}  // namespace
}  // namespace airlock::nest
