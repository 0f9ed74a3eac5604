#include "sys/cgroup.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstring>

namespace airlock::sys {
namespace {

constexpr const char* kParent = "airlock-test";

template <std::uint32_t slot>
bool claim_only(void*, std::uint32_t found) {
  return found == slot;
}

class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    host_ = open_cgroup_host(kParent, geteuid() == 0);
    ASSERT_NE(host_.controllers & kControllerMemory, 0)
        << "this test needs root and a memory controller";
  }
  void TearDown() override {
    for (const CgroupHierarchy& hierarchy : host_.hierarchies) {
      EXPECT_EQ(rmdir(hierarchy.path.c_str()), 0) << hierarchy.path << " is not empty";
    }
  }
  // A child that waits for us, then runs `body` in the group.
  template <typename Body>
  int run_in(Cgroup& group, Body body) {
    int go[2];
    EXPECT_EQ(pipe(go), 0);
    const pid_t child = fork();
    if (child == 0) {
      char byte = 0;
      if (read(go[0], &byte, 1) != 1 || !enter(group)) _exit(99);
      _exit(body());
    }
    EXPECT_EQ(write(go[1], "x", 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    close(go[0]);
    close(go[1]);
    return status;
  }
  // What a child does to move itself.
  static bool enter(const Cgroup& group) {
    bool entered = true;
    for (const auto& entrance : group.open_entrances(true)) {
      entered = entered && write(entrance.get(), "0", 1) == 1;
    }
    return entered;
  }
  // A child in the group that does nothing until it is killed.
  static pid_t start_member(const Cgroup& group) {
    int entered[2];
    EXPECT_EQ(pipe(entered), 0);
    const pid_t child = fork();
    if (child == 0) {
      if (enter(group) && write(entered[1], "x", 1) == 1) pause();
      _exit(0);
    }
    close(entered[1]);
    char byte = 0;
    EXPECT_EQ(read(entered[0], &byte, 1), 1);
    close(entered[0]);
    return child;
  }
  CgroupHost host_;
};

TEST_F(CgroupTest, MemoryBeyondTheLimitIsKilledAndCounted) {
  auto group = Cgroup::create(host_, "s1.0", {.memory_bytes = 16u << 20, .pids = 8});
  ASSERT_TRUE(group.has_value()) << group.error().to_string();
  const int status = run_in(*group, [] {
    constexpr std::size_t kSize = 64u << 20;
    void* memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(memory, 1, kSize);
    return 0;
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_GE(group->usage().oom_kills, 1u);
  EXPECT_GE(group->usage().memory_peak_bytes.value_or(0), 15u << 20);
}

TEST_F(CgroupTest, LimitsCanBeLoweredAndRaisedAgain) {
  auto group = Cgroup::create(host_, "s1.0", {.memory_bytes = 256u << 20, .pids = 8});
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->set_limits({.memory_bytes = 64u << 20, .pids = 4}), 0);
  EXPECT_EQ(group->set_limits({.memory_bytes = 512u << 20, .pids = 16}), 0);
  const int status = run_in(*group, [] {
    constexpr std::size_t kSize = 128u << 20;
    void* memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(memory, 1, kSize);
    return 0;
  });
  EXPECT_TRUE(WIFEXITED(status));
}

TEST_F(CgroupTest, TasksBeyondTheLimitAreRefusedAndCounted) {
  auto group = Cgroup::create(host_, "s1.0", {.memory_bytes = 64u << 20, .pids = 3});
  ASSERT_TRUE(group.has_value());
  const int status = run_in(*group, [] {
    int refused = 0;
    for (int i = 0; i < 5; ++i) {
      const pid_t pid = fork();
      if (pid == 0) {
        usleep(200'000);
        _exit(0);
      }
      if (pid < 0) ++refused;
    }
    while (wait(nullptr) > 0) {}
    return refused;
  });
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_EQ(group->usage().pids_denied, 3u);
}

TEST_F(CgroupTest, CpuTimeIsMeasured) {
  auto group = Cgroup::create(host_, "s1.0", {.memory_bytes = 64u << 20});
  ASSERT_TRUE(group.has_value());
  run_in(*group, [] {
    for (const clock_t end = clock() + CLOCKS_PER_SEC / 20; clock() < end;) {}
    return 0;
  });
  EXPECT_GE(group->cpu_ns().value_or(0), 40'000'000u);
}

TEST_F(CgroupTest, KillAllSparesOne) {
  auto group = Cgroup::create(host_, "s1.0", {.memory_bytes = 64u << 20, .pids = 8});
  ASSERT_TRUE(group.has_value());
  const pid_t children[] = {start_member(*group), start_member(*group)};
  group->kill_all(children[0]);
  int status = 0;
  waitpid(children[1], &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(group->empty(children[0]));
  EXPECT_FALSE(group->empty());
  kill(children[0], SIGKILL);
  waitpid(children[0], nullptr, 0);
}

TEST_F(CgroupTest, TheSweepRemovesTheGroupsOfTheDeadOnly) {
  auto group = Cgroup::create(host_, "s7.0", {.memory_bytes = 64u << 20});
  ASSERT_TRUE(group.has_value());
  const pid_t child = start_member(*group);
  EXPECT_TRUE(sweep_cgroups(host_, "", claim_only<8>, nullptr));
  EXPECT_FALSE(sweep_cgroups(host_, "s7.0", claim_only<7>, nullptr));
  EXPECT_FALSE(group->empty());
  EXPECT_FALSE(sweep_cgroups(host_, "s7.1", claim_only<7>, nullptr));
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(group->remove()) << "gone already counts as removed";
}

}  // namespace
}  // namespace airlock::sys
