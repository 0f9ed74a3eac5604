#include "apps/airlock/output_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace airlock::apps {
namespace {

namespace fs = std::filesystem;

class OutputDirectoryTest : public testing::Test {
 protected:
  OutputDirectoryTest() {
    std::string pattern = testing::TempDir() + "airlock-output-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  ~OutputDirectoryTest() override { fs::remove_all(folder_); }

  static backend::CollectedFile file(const std::string& path, const std::string& content) {
    base::UniqueFd fd(::memfd_create("file", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    return {path, std::move(fd), base::ByteCount(content.size())};
  }
  OutputDirectory open(const std::string& name) {
    return std::move(*OutputDirectory::open((folder_ / name).string()));
  }
  static std::string read(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  fs::path folder_;
};

TEST_F(OutputDirectoryTest, FoldersAreMadeAndFilesAreWhole) {
  OutputDirectory output = open("a/b");
  const std::string large(3'000'000, 'x');
  ASSERT_TRUE(output.take(file("deep/er/out.txt", large)));
  EXPECT_EQ(read(folder_ / "a/b/deep/er/out.txt"), large);
  EXPECT_EQ(std::distance(fs::recursive_directory_iterator(folder_ / "a/b"), {}), 3);
}

TEST_F(OutputDirectoryTest, SymbolicLinkOfTheUserIsReplacedNotFollowed) {
  OutputDirectory output = open("o");
  std::ofstream(folder_ / "precious") << "keep";
  fs::create_symlink(folder_ / "precious", folder_ / "o/out.txt");
  ASSERT_TRUE(output.take(file("out.txt", "new")));
  EXPECT_EQ(read(folder_ / "precious"), "keep");
  EXPECT_FALSE(fs::is_symlink(folder_ / "o/out.txt"));
  EXPECT_EQ(read(folder_ / "o/out.txt"), "new");
}

TEST_F(OutputDirectoryTest, LinkedFolderIsRefused) {
  OutputDirectory output = open("o");
  fs::create_directory(folder_ / "elsewhere");
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "o/link");
  EXPECT_FALSE(output.take(file("link/out.txt", "x")));
  EXPECT_TRUE(fs::is_empty(folder_ / "elsewhere"));
}

TEST_F(OutputDirectoryTest, FolderOfThatNameIsRefusedAndNothingIsLeft) {
  OutputDirectory output = open("o");
  fs::create_directories(folder_ / "o/out.txt/full");
  EXPECT_FALSE(output.take(file("out.txt", "x")));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "o"), {}), 1);
}

TEST_F(OutputDirectoryTest, FileInTheWayIsAnErrorThatNamesIt) {
  std::ofstream(folder_ / "taken") << "x";
  const auto output = OutputDirectory::open((folder_ / "taken").string());
  ASSERT_FALSE(output);
  EXPECT_NE(output.error().message.find("taken"), std::string::npos);
}

}  // namespace
}  // namespace airlock::apps
