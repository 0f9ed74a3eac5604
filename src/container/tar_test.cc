// Heads of archives, as tar(1) reads them.
#include "container/tar.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace airlock::container {
namespace {

std::string list(const std::string& archive) {
  char path[] = "/tmp/airlock-tar-XXXXXX";
  const int fd = ::mkstemp(path);
  EXPECT_GE(fd, 0);
  std::ofstream(path, std::ios::binary) << archive;
  std::string said;
  FILE* const pipe =
      ::popen(("tar --numeric-owner -tvf " + std::string(path) + " 2>&1").c_str(), "r");
  char line[1024];
  while (std::fgets(line, sizeof line, pipe) != nullptr) said += line;
  ::pclose(pipe);
  std::remove(path);
  return said;
}

TEST(Tar, EntriesAreReadAsTheyWereMeant) {
  const std::string content(700, 'x');
  std::string archive = *tar_head({.path = "a/", .is_folder = true, .mode = 01777, .owner = 7});
  archive += *tar_head({.path = "a/b", .mode = 0755, .size = content.size()}) + content +
             tar_padding(content.size()) + tar_end();
  EXPECT_EQ(archive.size() % 512, 0u);
  const std::string said = list(archive);
  EXPECT_NE(said.find("drwxrwxrwt 7/7"), std::string::npos) << said;
  EXPECT_NE(said.find("-rwxr-xr-x 0/0"), std::string::npos) << said;
  EXPECT_NE(said.find(" 700 "), std::string::npos) << said;
}

TEST(Tar, ALongPathIsSplitAtASlashAndATooLongOneRefused) {
  const std::string folder(120, 'd');
  const std::string path = folder + "/" + std::string(90, 'n');
  const auto head = tar_head({.path = path});
  ASSERT_TRUE(head.has_value());
  EXPECT_NE(list(*head + tar_end()).find(path), std::string::npos);
  EXPECT_FALSE(tar_head({.path = std::string(120, 'n')}).has_value()) << "no slash to split at";
  EXPECT_FALSE(tar_head({.path = std::string(200, 'd') + "/n"}).has_value());
  EXPECT_FALSE(tar_head({.path = "a", .size = 1ull << 40}).has_value());
}

}  // namespace
}  // namespace airlock::container
