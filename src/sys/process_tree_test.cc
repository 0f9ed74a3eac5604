#include "sys/process_tree.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace airlock::sys {
namespace {

// In a child, so that the processes of the test runner are not below us.
int in_subreaper(int (*body)()) {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ProcessTreeTest, ProcessesThatLeftTheirSessionAndParentAreFoundAndEnded) {
  EXPECT_EQ(in_subreaper([] {
              for (int i = 0; i < 3; ++i) {
                if (fork() != 0) continue;
                setsid();
                signal(SIGTERM, SIG_IGN);
                if (fork() == 0) pause();
                _exit(0);
              }
              usleep(100'000);
              if (signal_descendants(0) < 3) return 1;
              if (!end_descendants()) return 2;
              return signal_descendants(0) == 0 ? 0 : 3;
            }),
            0);
}

TEST(ProcessTreeTest, MemoryIsThatOfDescendants) {
  EXPECT_EQ(in_subreaper([] {
              if (fork() == 0) pause();
              usleep(50'000);
              const bool some = resident_bytes_below(getpid()) > 0;
              end_descendants();
              return some && resident_bytes_below(getpid()) == 0 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace airlock::sys
