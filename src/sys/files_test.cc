#include "sys/files.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace airlock::sys {
namespace {

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/airlock-files-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    top_ = path;
    fd_.reset(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override { std::filesystem::remove_all(top_); }
  bool top_is_empty() const { return std::filesystem::is_empty(top_); }

  std::filesystem::path top_;
  base::UniqueFd fd_;
};

TEST_F(FilesTest, NumbersAndKeysAreRead) {
  std::ofstream(top_ / "number") << "42\n";
  std::ofstream(top_ / "max") << "max\n";
  EXPECT_EQ(read_number_at(fd_.get(), "number"), 42u);
  EXPECT_EQ(read_number_at(fd_.get(), "max"), std::nullopt);
  EXPECT_EQ(read_number_at(fd_.get(), "absent"), std::nullopt);
  EXPECT_EQ(find_keyed_number("oom 1\noom_kill 7\n", "oom_kill"), 7u);
  EXPECT_EQ(find_keyed_number("oom_kill_x 7\n", "oom_kill"), std::nullopt);
}

TEST_F(FilesTest, FoldersAreCountedByLinks) {
  EXPECT_TRUE(holds_no_folder_but(fd_.get(), ".", ""));
  std::filesystem::create_directories(top_ / "own/below");
  std::ofstream(top_ / "file") << "files do not count";
  EXPECT_TRUE(holds_no_folder_but(fd_.get(), ".", "own"));
  EXPECT_TRUE(holds_no_folder_but(fd_.get(), ".", "own/below"));
  EXPECT_FALSE(holds_no_folder_but(fd_.get(), ".", "another"));
  EXPECT_FALSE(holds_no_folder_but(fd_.get(), ".", ""));
  std::filesystem::create_directory(top_ / "another");
  EXPECT_FALSE(holds_no_folder_but(fd_.get(), ".", "own"));
  EXPECT_FALSE(holds_no_folder_but(fd_.get(), "absent", "own"));
}

TEST_F(FilesTest, ATreeIsRemovedWithoutFollowingLinks) {
  const auto outside = top_.string() + "-outside";
  std::filesystem::create_directory(outside);
  std::ofstream(outside + "/kept") << "x";
  std::filesystem::create_directory_symlink(outside, top_ / "link");
  std::filesystem::create_directories(top_ / "a/b/c");
  std::ofstream(top_ / "a/b/file") << "x";
  EXPECT_EQ(remove_tree_below(fd_.get()), 0);
  EXPECT_TRUE(top_is_empty());
  EXPECT_TRUE(std::filesystem::exists(outside + "/kept"));
  std::filesystem::remove_all(outside);
}

TEST_F(FilesTest, ATreeDeeperThanAnyPathIsRemoved) {
  base::UniqueFd here(open(top_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < 3'000; ++depth) {
    ASSERT_EQ(mkdirat(here.get(), "deeper", 0700), 0);
    here.reset(openat(here.get(), "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(here.valid());
  }
  here.reset();
  EXPECT_EQ(remove_tree_below(fd_.get()), 0);
  EXPECT_TRUE(top_is_empty());
}

TEST_F(FilesTest, ADirectoryWithoutPermissionsIsRemovedByItsOwner) {
  std::filesystem::create_directories(top_ / "a/closed/inside");
  chmod((top_ / "a/closed").c_str(), 0);
  EXPECT_EQ(remove_tree_below(fd_.get()), 0);
  EXPECT_TRUE(top_is_empty());
}

TEST_F(FilesTest, UsageCountsBlocksNotLengths) {
  std::ofstream(top_ / "data") << std::string(100'000, 'x');
  const int sparse = open((top_ / "sparse").c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(ftruncate(sparse, 1 << 30), 0);
  close(sparse);
  const TreeUsage usage = measure_tree(fd_.get(), 100);
  EXPECT_EQ(usage.entries, 2u);
  EXPECT_GE(usage.bytes, 100'000u);
  EXPECT_LT(usage.bytes, 1u << 20);
}

TEST_F(FilesTest, MeasuringStopsAtItsLimit) {
  for (int i = 0; i < 20; ++i) std::ofstream(top_ / std::to_string(i)) << "";
  EXPECT_EQ(measure_tree(fd_.get(), 5).entries, 6u);
}

}  // namespace
}  // namespace airlock::sys
