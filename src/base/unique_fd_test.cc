#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <type_traits>

namespace airlock::base {
namespace {

static_assert(!std::is_convertible_v<UniqueFd, int>);
static_assert(!std::is_convertible_v<UniqueFd, bool>);
static_assert(!std::is_constructible_v<bool, UniqueFd>);
static_assert(!std::is_convertible_v<int, UniqueFd>);
static_assert(!std::is_copy_constructible_v<UniqueFd>);

int open_null() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFdTest, ClosesWhenItEnds) {
  const int fd = open_null();
  {
    const UniqueFd owner(fd);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFdTest, AMovedFromOwnerOwnsNothing) {
  UniqueFd first(open_null());
  const int fd = first.get();
  UniqueFd second(std::move(first));
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the state is the test
  EXPECT_FALSE(first.valid());
  EXPECT_EQ(second.get(), fd);
  EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFdTest, AssignmentClosesWhatWasOwnedBefore) {
  UniqueFd first(open_null());
  UniqueFd second(open_null());
  const int old = first.get();
  const int kept = second.get();
  first = std::move(second);
  EXPECT_FALSE(is_open(old));
  EXPECT_EQ(first.get(), kept);
  UniqueFd& itself = first;
  first = std::move(itself);
  EXPECT_TRUE(is_open(kept));
}

TEST(UniqueFdTest, ReleaseGivesTheDescriptorAway) {
  UniqueFd owner(open_null());
  const int fd = owner.release();
  EXPECT_FALSE(owner.valid());
  EXPECT_TRUE(is_open(fd));
  close(fd);
}

TEST(UniqueFdTest, ClosingLeavesErrnoAlone) {
  UniqueFd owner(open_null());
  close(owner.get());
  errno = ENOSPC;
  owner.reset();  // close fails with EBADF
  EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace airlock::base
