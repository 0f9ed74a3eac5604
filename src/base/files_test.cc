#include "base/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace airlock::base {
namespace {

namespace fs = std::filesystem;

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "files-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    folder_fd_ = UniqueFd(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string at(const std::string& name) const { return folder_ / name; }
  void write(const std::string& name, std::string_view text, mode_t mode = 0644) const {
    const UniqueFd file(::open(at(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(write_all(file.get(), text, name).has_value());
    ASSERT_EQ(::fchmod(file.get(), mode), 0);
  }

  fs::path folder_;
  UniqueFd folder_fd_;
};

TEST_F(FilesTest, AFileIsReadUpToItsBoundAndNotBeyond) {
  const std::string text(200'000, 'x');
  write("a", text);
  EXPECT_EQ(read_regular(at("a"), text.size()).value_or(""), text);
  const auto larger = read_regular(at("a"), text.size() - 1);
  ASSERT_FALSE(larger.has_value());
  EXPECT_EQ(larger.error().code, ErrorCode::kLimitExceeded);
  EXPECT_NE(larger.error().message.find(at("a")), std::string::npos);
}

TEST_F(FilesTest, NobodyWaitsForWhatIsNoRegularFile) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  for (const std::string& path : {at("fifo"), folder_.string(), std::string("/dev/zero")}) {
    const auto read = read_regular(path, 10);
    ASSERT_FALSE(read.has_value()) << path;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument) << path;
  }
  EXPECT_EQ(read_regular(at("missing"), 10).error().os_errno, ENOENT);
}

TEST_F(FilesTest, PrivateIsWhatOnlyItsOwnerReads) {
  for (const auto& [mode, expected] :
       {std::pair(0600, true), std::pair(0400, true), std::pair(0640, false),
        std::pair(0604, false), std::pair(0620, false)}) {
    write("key", "k", static_cast<mode_t>(mode));
    const auto file = open_regular(at("key"));
    ASSERT_TRUE(file.has_value());
    EXPECT_EQ(is_private(file->get()), expected) << mode;
    fs::remove(at("key"));
  }
}

TEST_F(FilesTest, WhatCannotBeWrittenIsAnErrorWithItsName) {
  write("a", "");
  const auto file = open_regular(at("a"));
  const auto written = write_all(file->get(), "text", "the answer");
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().message, "write the answer");
}

TEST_F(FilesTest, NoPathLeadsOutOfItsFolder) {
  fs::create_directories(folder_ / "sub");
  write("sub/a", "inside");
  fs::create_symlink("a", folder_ / "sub/link");
  fs::create_directory_symlink("sub", folder_ / "door");
  EXPECT_TRUE(open_beneath(folder_fd_.get(), "sub/a", O_RDONLY).valid());
  EXPECT_TRUE(open_beneath(folder_fd_.get(), "sub/../sub/a", O_RDONLY).valid());
  for (const char* const path : {"sub/link", "door/a", "../etc", "/etc/passwd", "sub/../../x"}) {
    EXPECT_FALSE(open_beneath(folder_fd_.get(), path, O_RDONLY).valid()) << path;
  }
  EXPECT_TRUE(open_beneath(folder_fd_.get(), "sub/new", O_WRONLY | O_CREAT | O_EXCL, 0600).valid());
}

}  // namespace
}  // namespace airlock::base
