#include "runner/jobs/job_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace airlock::runner {
namespace {

namespace fs = std::filesystem;

class JobFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("job_files." + std::to_string(::getpid()));
    fs::create_directories(folder_ / "out");
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path out() const { return folder_ / "out"; }

  fs::path folder_;
};

TEST_F(JobFilesTest, AJobsFilesAreMadeAndGone) {
  const JobFiles files(folder_);
  ASSERT_TRUE(files.create("job_1"));
  EXPECT_TRUE(fs::is_directory(files.outputs("job_1")));
  EXPECT_EQ(files.ids(), std::vector<std::string>{"job_1"});
  ASSERT_TRUE(files.create("job_1"));
  ASSERT_TRUE(files.remove("job_1"));
  EXPECT_TRUE(files.ids().empty());
  EXPECT_TRUE(files.remove("job_1"));
}

TEST_F(JobFilesTest, NothingIsOpenedThroughALinkOrOutside) {
  std::ofstream(folder_ / "secret") << "x";
  fs::create_symlink(folder_ / "secret", out() / "link");
  fs::create_symlink(folder_, out() / "up");
  std::ofstream(out() / "file") << "abc";
  EXPECT_TRUE(open_beneath(out(), "file").has_value());
  for (const char* path : {"link", "up/secret", "../secret", "/etc/passwd", "", ".", "missing"}) {
    EXPECT_FALSE(open_beneath(out(), path).has_value()) << path;
  }
}

TEST_F(JobFilesTest, APipeIsNoFileAndIsNotWaitedFor) {
  ASSERT_EQ(::mkfifo((out() / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(open_beneath(out(), "pipe").has_value());
}

TEST_F(JobFilesTest, ACopyHasTheBytesAndTheHoles) {
  const auto from = memory_file("");
  ASSERT_TRUE(from.has_value());
  constexpr off_t kFar = off_t{1} << 30;
  ASSERT_EQ(::pwrite(from->get(), "head", 4, 0), 4);
  ASSERT_EQ(::pwrite(from->get(), "tail", 4, kFar), 4);
  const base::ByteCount size(kFar + 4);
  ASSERT_TRUE(copy_beneath(out(), "a/b/c", from->get(), size));
  struct stat status{};
  ASSERT_EQ(::stat((out() / "a/b/c").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, kFar + 4);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);
  const auto to = open_beneath(out(), "a/b/c");
  char text[5] = {};
  ASSERT_EQ(::pread(to->get(), text, 4, kFar), 4);
  EXPECT_STREQ(text, "tail");
}

TEST_F(JobFilesTest, ACopyNeverGoesThroughAPlantedLink) {
  fs::create_directories(folder_ / "elsewhere");
  fs::create_symlink(folder_ / "elsewhere", out() / "a");
  const auto from = memory_file("x");
  EXPECT_FALSE(copy_beneath(out(), "a/b", from->get(), base::ByteCount(1)).has_value());
  EXPECT_FALSE(copy_beneath(out(), "../b", from->get(), base::ByteCount(1)).has_value());
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere/b"));
  EXPECT_FALSE(fs::exists(folder_ / "b"));
}

TEST_F(JobFilesTest, WhatIsWrittenWholeReplacesWhatWas) {
  ASSERT_TRUE(write_whole(folder_ / "r.json", "one"));
  ASSERT_TRUE(write_whole(folder_ / "r.json", "two"));
  EXPECT_EQ(read_whole(folder_ / "r.json", 10).value(), "two");
  EXPECT_EQ(read_whole(folder_ / "none", 10).error().code, base::ErrorCode::kNotFound);
  EXPECT_EQ(read_whole(folder_ / "r.json", 2).error().code, base::ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace airlock::runner
