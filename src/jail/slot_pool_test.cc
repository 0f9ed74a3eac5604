#include "jail/slot_pool.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>

namespace airlock::jail {
namespace {

class SlotPoolTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/airlock-slots-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
  }
  void TearDown() override {
    unlink((directory_ + "/slots").c_str());
    rmdir(directory_.c_str());
  }
  std::string directory_;
};

TEST_F(SlotPoolTest, NoSlotIsGivenTwice) {
  const auto pool = SlotPool::open(directory_, 2);
  ASSERT_TRUE(pool.has_value());
  const auto first = pool->take();
  const auto second = pool->take();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_NE(first->number(), second->number());
  const auto third = pool->take();
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code, base::ErrorCode::kLimitExceeded);
}

TEST_F(SlotPoolTest, ASlotIsFreeAgainWhenItsOwnerEnds) {
  const auto pool = SlotPool::open(directory_, 1);
  ASSERT_TRUE(pool.has_value());
  { const auto held = pool->take(); }
  EXPECT_TRUE(pool->try_take(0).valid());
}

TEST_F(SlotPoolTest, ASlotIsFreeAgainWhenItsOwnerIsKilled) {
  const auto pool = SlotPool::open(directory_, 1);
  ASSERT_TRUE(pool.has_value());
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    const auto held = pool->take();
    if (write(ready[1], "x", 1) == 1) pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_FALSE(pool->try_take(0).valid());
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  EXPECT_TRUE(pool->try_take(0).valid());
  close(ready[0]);
  close(ready[1]);
}

TEST_F(SlotPoolTest, ADirectoryThatIsNotOursIsRefused) {
  const std::string link = directory_ + "/link";
  ASSERT_EQ(symlink("/tmp", link.c_str()), 0);
  EXPECT_FALSE(SlotPool::open(link, 1).has_value());
  unlink(link.c_str());
}

TEST_F(SlotPoolTest, ADirectoryThatOthersCanReachIsClosed) {
  ASSERT_EQ(chmod(directory_.c_str(), 0711), 0);
  ASSERT_TRUE(SlotPool::open(directory_, 1).has_value());
  struct stat status{};
  ASSERT_EQ(stat(directory_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

}  // namespace
}  // namespace airlock::jail
