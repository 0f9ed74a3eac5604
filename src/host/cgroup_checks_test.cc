#include <gtest/gtest.h>

#include <cerrno>

#include "host/cgroup_layout.h"
#include "host/fake_host.h"

namespace airlock::host {
namespace {

constexpr const char* kScope =
    "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/run-1.scope";

Finding examined(FakeHost host, std::string_view id) {
  const Findings findings = check_cgroup(host);
  const Finding* finding = find_finding(findings, id);
  return finding != nullptr ? *finding : Finding{};
}

FakeHost on_v1(FakeHost host) {
  host.files["/proc/self/mountinfo"] =
      "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
      "33 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
  host.cgroup_files = {"memory.max_usage_in_bytes", "memory.memsw.limit_in_bytes"};
  return host;
}

FakeHost on_hybrid(FakeHost host) {
  host = on_v1(std::move(host));
  host.files["/proc/self/mountinfo"] +=
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  host.files["/sys/fs/cgroup/unified/cgroup.controllers"] = "hugetlb\n";
  return host;
}

TEST(CgroupChecksTest, EveryLayoutIsFineForRoot) {
  for (const FakeHost& host : {FakeHost(), on_v1(FakeHost()), on_hybrid(FakeHost())}) {
    const Finding finding = examined(host, "cgroup_limits");
    EXPECT_EQ(finding.status, FindingStatus::kOk) << finding.seen;
    EXPECT_NE(finding.seen.find("memory, pids, cpu"), std::string::npos);
  }
  EXPECT_EQ(examined(FakeHost(), "cgroup_version").seen, "v2 at /sys/fs/cgroup");
  EXPECT_EQ(examined(on_v1(FakeHost()), "cgroup_version").seen, "v1");
  EXPECT_EQ(examined(on_hybrid(FakeHost()), "cgroup_version").seen,
            "hybrid, v2 at /sys/fs/cgroup/unified");
}

TEST(CgroupChecksTest, ADelegatedScopeIsFineForAUser) {
  EXPECT_EQ(examined(FakeHost::as_user(), "cgroup_limits").status, FindingStatus::kOk);
}

TEST(CgroupChecksTest, AUserWithoutDelegationIsToldToAskSystemdForAScope) {
  FakeHost host = FakeHost::as_user();
  host.mkdir_errors[kScope] = EACCES;
  const Finding finding = examined(host, "cgroup_limits");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_NE(finding.fix.find("systemd-run --user --scope -p Delegate=yes"), std::string::npos);
  EXPECT_EQ(finding.missing, (std::vector<std::string>{"cgroup"}));
}

TEST(CgroupChecksTest, AScopeWithoutControllersIsToldWhereSystemdGivesThem) {
  FakeHost host = FakeHost::as_user();
  host.files[std::string(kScope) + "/cgroup.controllers"] = "\n";
  const Finding finding = examined(host, "cgroup_limits");
  EXPECT_NE(finding.fix.find("user@.service.d/delegate.conf"), std::string::npos);
}

TEST(CgroupChecksTest, WithoutSystemdAGroupIsMadeByHand) {
  FakeHost host = FakeHost::as_user();
  host.mkdir_errors[kScope] = EACCES;
  host.nodes.erase("/run/systemd/system");
  EXPECT_NE(
      examined(host, "cgroup_limits").fix.find("chown -R 1000 /sys/fs/cgroup/airlock-user-1000"),
      std::string::npos);
}

TEST(CgroupChecksTest, ControllersThatTheLauncherWillHandDownCount) {
  FakeHost host = FakeHost::as_user();
  host.cgroup_file_errors = {{"memory.max", ENOENT}, {"pids.max", ENOENT}, {"cpu.max", ENOENT}};
  EXPECT_EQ(examined(host, "cgroup_limits").status, FindingStatus::kOk);

  host.files[std::string(kScope) + "/cgroup.procs"] = "17\n4242\n";
  const Finding finding = examined(host, "cgroup_limits");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_NE(finding.seen.find("holds other processes"), std::string::npos);
}

TEST(CgroupChecksTest, AControllerThatIsSwitchedOffIsTheOnlyOneMissing) {
  FakeHost host;
  host.files["/sys/fs/cgroup/cgroup.controllers"] = "cpu io pids\n";
  const Finding finding = examined(host, "cgroup_limits");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_EQ(finding.missing, (std::vector<std::string>{"cgroup_memory"}));
  EXPECT_NE(finding.fix.find("cgroup_enable=memory"), std::string::npos);
}

TEST(CgroupChecksTest, AGroupThatCannotBeEnteredGivesNoLimits) {
  FakeHost host = FakeHost::as_user();
  host.cgroup_file_errors = {{"cgroup.procs", EACCES}};
  EXPECT_EQ(examined(host, "cgroup_limits").missing, (std::vector<std::string>{"cgroup"}));
}

TEST(CgroupChecksTest, OnV1AnOrdinaryUserGetsNothingAndNoTrialIsMade) {
  FakeHost host = on_v1(FakeHost::as_user());
  const Finding finding = examined(host, "cgroup_limits");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_NE(finding.seen.find("only root may use"), std::string::npos);
  EXPECT_NE(finding.fix.find("unified_cgroup_hierarchy=1"), std::string::npos);
}

TEST(CgroupChecksTest, AReadOnlyCgroupInAContainerIsExplained) {
  FakeHost host;
  host.files["/proc/self/mountinfo"] =
      "27 1 0:50 / / rw - overlay overlay rw\n"
      "31 23 0:28 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  host.files["/.dockerenv"] = "";
  host.mkdir_errors["/sys/fs/cgroup"] = EROFS;
  const Finding finding = examined(host, "cgroup_limits");
  EXPECT_NE(finding.seen.find("Read-only file system"), std::string::npos);
  EXPECT_NE(finding.fix.find("docker run --privileged"), std::string::npos);
}

TEST(CgroupChecksTest, NoCgroupAtAllIsAWarningAndNotAFailure) {
  FakeHost host;
  host.files["/proc/self/mountinfo"] = "27 1 254:0 / / rw - ext4 /dev/vda rw\n";
  EXPECT_EQ(examined(host, "cgroup_version").status, FindingStatus::kWarn);
  EXPECT_EQ(examined(host, "cgroup_limits").fix, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
}

TEST(CgroupChecksTest, PeaksThatTheKernelDoesNotKeepAreListed) {
  FakeHost host;
  host.cgroup_files = {"memory.peak"};
  EXPECT_EQ(examined(host, "cgroup_usage").missing, (std::vector<std::string>{"pids_peak"}));
  host.cgroup_files = {};
  EXPECT_EQ(examined(host, "cgroup_usage").missing,
            (std::vector<std::string>{"memory_peak", "pids_peak"}));
}

TEST(CgroupChecksTest, PeaksOfControllersYetToBeHandedDownFollowFromTheKernelsAge) {
  FakeHost host = FakeHost::as_user();
  host.cgroup_files = {};
  host.cgroup_file_errors = {{"memory.max", ENOENT}, {"pids.max", ENOENT}, {"cpu.max", ENOENT}};
  EXPECT_EQ(examined(host, "cgroup_usage").missing, (std::vector<std::string>{"pids_peak"}));
  host.kernel_name.release = "6.11.0";
  EXPECT_TRUE(examined(host, "cgroup_usage").missing.empty());
  host.kernel_name.release = "5.18.0";
  EXPECT_EQ(examined(host, "cgroup_usage").missing,
            (std::vector<std::string>{"memory_peak", "pids_peak"}));
}

TEST(CgroupChecksTest, WithoutAnyGroupNoPeakIsMeasured) {
  FakeHost host = on_v1(FakeHost::as_user());
  EXPECT_EQ(examined(host, "cgroup_usage").missing,
            (std::vector<std::string>{"memory_peak", "pids_peak"}));
}

TEST(CgroupChecksTest, SwapWithoutAccountingIsAWarning) {
  FakeHost host = on_v1(FakeHost());
  host.files["/proc/swaps"] += "/dev/sda2 partition 1000 0 -2\n";
  EXPECT_EQ(examined(host, "swap").status, FindingStatus::kOk);
  host.cgroup_files.erase("memory.memsw.limit_in_bytes");
  EXPECT_EQ(examined(host, "swap").status, FindingStatus::kWarn);
}

TEST(CgroupLayoutTest, RootUsesTheTopAndAUserOnlyTheOwnGroup) {
  FakeHost root;
  EXPECT_EQ(find_cgroup_layout(root).places.front().parent, "/sys/fs/cgroup");
  FakeHost user = FakeHost::as_user();
  EXPECT_EQ(find_cgroup_layout(user).places.front().parent, kScope);
}

}  // namespace
}  // namespace airlock::host
