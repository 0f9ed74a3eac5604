#include "host/live_probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/unique_fd.h"
#include "host/child_trial.h"
#include "host/proc_files.h"

namespace airlock::host {
namespace {

TEST(LiveProbeTest, EveryTrialEndsAndSaysWhichStepFailed) {
  LiveProbe probe;
  for (int trial = 0; trial <= static_cast<int>(Trial::kLoopDevice); ++trial) {
    const Attempt attempt = probe.attempt(static_cast<Trial>(trial));
    EXPECT_EQ(attempt.worked(), attempt.step.empty()) << trial << ": " << attempt.step;
    EXPECT_NE(attempt.os_errno, ETIMEDOUT) << trial;
  }
}

TEST(LiveProbeTest, TrialsChangeNothingOfThisProcess) {
  LiveProbe probe;
  const auto before = probe.read("/proc/self/mountinfo");
  const auto user_namespace = std::filesystem::read_symlink("/proc/self/ns/user");
  EXPECT_EQ(probe.attempt(Trial::kNamespaces).os_errno, probe.attempt(Trial::kNamespaces).os_errno);
  probe.attempt(Trial::kOverlay);
  probe.attempt(Trial::kSeccompNotify);
  EXPECT_EQ(probe.read("/proc/self/mountinfo"), before);
  EXPECT_EQ(std::filesystem::read_symlink("/proc/self/ns/user"), user_namespace);
  EXPECT_EQ(probe.read("/proc/self/task/" + std::to_string(getpid()) + "/children").value_or(""),
            "");
}

TEST(LiveProbeTest, ATrialThatHangsOrDiesIsEnded) {
  const Attempt hanging = run_in_child([](TrialRecord*) {
    while (true) pause();
  });
  EXPECT_EQ(hanging.os_errno, ETIMEDOUT);
  const Attempt dying = run_in_child([](TrialRecord*) { _exit(1); });
  EXPECT_EQ(dying.os_errno, ECHILD);
}

TEST(LiveProbeTest, ACgroupTrialLeavesNoGroupBehind) {
  LiveProbe probe;
  const std::string mounts = probe.read("/proc/self/mountinfo").value_or("");
  for (const Mount& mount : parse_mounts(mounts)) {
    if (mount.type != "cgroup" && mount.type != "cgroup2") continue;
    const CgroupAttempt attempt = probe.attempt_cgroup(
        {.parent = mount.point, .limits = {{"no.such.limit", "1"}}, .files = {"cgroup.procs"}});
    if (attempt.made.worked()) {
      ASSERT_EQ(attempt.limits.size(), 1U);
      EXPECT_FALSE(attempt.limits[0].worked());
      EXPECT_EQ(attempt.files.size(), 1U);
    }
    const std::string group = mount.point + "/airlock-doctor-" + std::to_string(getpid());
    EXPECT_FALSE(std::filesystem::exists(group)) << group;
  }
}

TEST(LiveProbeTest, ReadsFilesFactsAndSpace) {
  LiveProbe probe;
  EXPECT_FALSE(probe.read("/nonexistent/file"));
  EXPECT_FALSE(probe.read("/proc"));
  EXPECT_NE(probe.read("/proc/self/cgroup"), "");
  EXPECT_EQ(probe.facts("/dev/null")->kind, FileKind::kCharacterDevice);
  EXPECT_EQ(probe.facts("/")->kind, FileKind::kFolder);
  EXPECT_FALSE(probe.facts("/nonexistent"));
  const auto space = probe.space("/nonexistent/state/airlock");
  ASSERT_TRUE(space);
  EXPECT_EQ(space->folder, "/");
  EXPECT_EQ(probe.identity().uid, geteuid());
  EXPECT_EQ(probe.identity().pid, static_cast<std::uint32_t>(getpid()));
}

TEST(LiveProbeTest, TheOwnerOfAListeningPortIsFound) {
  const base::UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_TRUE(listener.valid());
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Why safe: the socket interface takes every kind of address as a sockaddr.
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener.get(), generic, size), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &size), 0);
  LiveProbe probe;
  const std::string table = probe.read("/proc/net/tcp").value_or("");
  const auto inodes = find_listening_inodes(table, ntohs(address.sin_port));
  ASSERT_EQ(inodes.size(), 1U);
  const auto owner = probe.find_socket_owner(inodes.front());
  ASSERT_TRUE(owner);
  EXPECT_NE(owner->find("(pid " + std::to_string(getpid()) + ")"), std::string::npos);
  EXPECT_FALSE(probe.find_socket_owner(0));
}

}  // namespace
}  // namespace airlock::host
