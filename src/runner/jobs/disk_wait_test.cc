#include "runner/jobs/disk_wait.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "runner/jobs/job_stop.h"

namespace airlock::runner {
namespace {

TEST(DiskWaitTest, OnlyADiskThatTakesNothingIsTheDisksFault) {
  for (const int code : {ENOSPC, EDQUOT, EROFS}) {
    EXPECT_TRUE(is_of_disk(base::errno_error("write", code))) << code;
    const auto stopped = lost(base::errno_error("write", code));
    EXPECT_TRUE(stopped.error().awaits_disk);
    EXPECT_EQ(stopped.error().code, "host_disk");
  }
  for (const int code : {0, ENOENT, EIO, EACCES}) {
    EXPECT_FALSE(is_of_disk(base::errno_error("write", code))) << code;
    EXPECT_EQ(lost(base::errno_error("write", code)).error().code, "runner_lost");
  }
}

TEST(DiskWaitTest, AFolderOfThisMachineHasRoomAndOneThatIsNotThereIsNotJudged) {
  EXPECT_TRUE(has_room("/dev/shm"));
  EXPECT_TRUE(has_room("/nothing/here"));
  EXPECT_FALSE(has_room("/proc"));  // no bytes are free there
  EXPECT_FALSE(has_room("/dev/shm", std::uint64_t{1} << 60));
}

TEST(DiskWaitTest, HolesTakeNothingOfADisk) {
  const base::UniqueFd file(::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(file.valid());
  ASSERT_EQ(::ftruncate(file.get(), 1 << 30), 0);
  EXPECT_EQ(bytes_on_disk(file.get()), 0u);
  ASSERT_EQ(::pwrite(file.get(), "x", 1, 1 << 20), 1);
  EXPECT_GE(bytes_on_disk(file.get()), 1u);
  EXPECT_LE(bytes_on_disk(file.get()), 4u << 20);
}

TEST(DiskWaitTest, ItEndsWhenTheJobIsToStopOrTheTimeIsOver) {
  JobControl control;
  int pauses = 0;
  std::chrono::milliseconds slept{0};
  std::vector<std::string> told;
  const DiskWaitParts parts{.sleep =
                                [&](std::chrono::milliseconds time) {
                                  slept += time;
                                  ++pauses;
                                },
                            .log = [&](auto event, auto, auto) { told.emplace_back(event); }};
  const base::Error full = base::errno_error("write", ENOSPC);
  DiskWait wait(parts, control, "job");
  EXPECT_FALSE(wait.try_again_after(base::errno_error("write", EIO)));
  EXPECT_EQ(pauses, 0);
  int attempts = 0;
  while (wait.try_again_after(full)) ++attempts;
  EXPECT_GT(attempts, 50);
  EXPECT_LT(attempts, 200);
  EXPECT_GE(slept, kDiskWaitMax);
  EXPECT_EQ(told, std::vector<std::string>({"job.waits_for_disk"}));
  DiskWait other(parts, control, "job");
  control.cancel();
  EXPECT_FALSE(other.try_again_after(full));
}

}  // namespace
}  // namespace airlock::runner
