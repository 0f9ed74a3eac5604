#include "jail/durable_folder.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace airlock::jail {
namespace {

using base::UniqueFd;

class DurableFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/durable-folder-test-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    run_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(run_); }
  DurableFolder open(const std::string& state) const {
    auto folder = DurableFolder::open(run_, state);
    EXPECT_TRUE(folder.has_value());
    return std::move(*folder);
  }

  std::string run_;
};

TEST(DurableNameTest, NamesArePlainWords) {
  for (const char* name : {"a", "job_0", "0"}) EXPECT_TRUE(is_durable_name(name)) << name;
  EXPECT_TRUE(is_durable_name(std::string(64, 'x')));
  for (const char* name : {"", ".", "..", "a/b", "A", "a b", "a.b", "a-b", "\xc3\xa4"}) {
    EXPECT_FALSE(is_durable_name(name)) << name;
  }
  EXPECT_FALSE(is_durable_name(std::string(65, 'x')));
  EXPECT_FALSE(is_durable_name(std::string_view("a\0", 2)));
}

TEST_F(DurableFolderTest, ANameIsHadOnceAndFreeWithItsListener) {
  const DurableFolder folder = open("/state");
  UniqueFd listener;
  UniqueFd other;
  ASSERT_EQ(folder.listen_as("job", &listener), 0);
  EXPECT_EQ(folder.listen_as("job", &other), EEXIST);
  EXPECT_EQ(folder.list().alive, std::vector<std::string>{"job"});
  EXPECT_EQ(folder.connect_to("job", &other), 0);
  listener.reset();
  EXPECT_EQ(folder.connect_to("job", &other), ECONNREFUSED);
  EXPECT_EQ(folder.list().dead, std::vector<std::string>{"job"});
  EXPECT_EQ(folder.listen_as("job", &listener), 0);
  folder.remove("job");
  EXPECT_EQ(folder.connect_to("job", &other), ENOENT);
}

TEST_F(DurableFolderTest, OnlyANameThatIsDeadIsRemoved) {
  const DurableFolder folder = open("/state");
  UniqueFd listener;
  UniqueFd other;
  ASSERT_EQ(folder.listen_as("job", &listener), 0);
  folder.remove_dead("job");
  EXPECT_EQ(folder.connect_to("job", &other), 0);
  listener.reset();
  folder.remove_dead("job");
  EXPECT_EQ(folder.connect_to("job", &other), ENOENT);
}

TEST_F(DurableFolderTest, AQueueThatIsFullIsAliveAndDoesNotBlock) {
  const DurableFolder folder = open("/state");
  UniqueFd listener;
  ASSERT_EQ(folder.listen_as("job", &listener), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  std::vector<UniqueFd> waiting(4);
  int error = 0;
  for (UniqueFd& connection : waiting) {
    if (error == 0) error = folder.connect_to("job", &connection);
  }
  EXPECT_EQ(error, EAGAIN);
  EXPECT_EQ(folder.list().alive.size(), 1u);
  EXPECT_EQ(folder.listen_as("job", &waiting[0]), EEXIST);
}

TEST_F(DurableFolderTest, StateDirectoriesDoNotSeeEachOther) {
  const DurableFolder one = open("/state/one");
  const DurableFolder two = open("/state/two");
  UniqueFd listener;
  ASSERT_EQ(one.listen_as("job", &listener), 0);
  EXPECT_TRUE(two.list().alive.empty());
  UniqueFd other;
  EXPECT_EQ(two.connect_to("job", &other), ENOENT);
}

TEST_F(DurableFolderTest, AFolderThatOthersCanReachIsRefused) {
  open("/state");
  struct stat status{};
  ASSERT_EQ(stat((run_ + "/jobs").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  UniqueFd listener;
  ASSERT_EQ(open("/state").listen_as("job", &listener), 0);
  for (const auto& entry : std::filesystem::directory_iterator(run_ + "/jobs")) {
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
  }
  ASSERT_EQ(chmod((run_ + "/jobs").c_str(), 0755), 0);
  EXPECT_FALSE(DurableFolder::open(run_, "/state").has_value());
}

TEST_F(DurableFolderTest, ALongRunDirectoryIsNoReasonToFail) {
  run_ += "/" + std::string(120, 'd');
  std::filesystem::create_directory(run_);
  const DurableFolder folder = open("/state");
  UniqueFd listener;
  EXPECT_EQ(folder.listen_as(std::string(64, 'n'), &listener), 0);
  run_ = std::filesystem::path(run_).parent_path();
}

}  // namespace
}  // namespace airlock::jail
