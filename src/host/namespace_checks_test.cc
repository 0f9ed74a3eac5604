#include <gtest/gtest.h>

#include <cerrno>

#include "host/fake_host.h"

namespace airlock::host {
namespace {

Finding examined(FakeHost host, std::string_view id) {
  const Findings findings = check_namespaces(host, usual_question());
  const Finding* finding = find_finding(findings, id);
  return finding != nullptr ? *finding : Finding{};
}

FakeHost failing(FakeHost host, int os_errno, const char* step) {
  host.failures[Trial::kNamespaces] = {.os_errno = os_errno, .step = step};
  return host;
}

TEST(NamespaceChecksTest, HealthyHostIsFineForRootAndForAUser) {
  for (FakeHost host : {FakeHost(), FakeHost::as_user()}) {
    for (const Finding& finding : check_namespaces(host, usual_question())) {
      EXPECT_EQ(finding.status, FindingStatus::kOk) << finding.id << ": " << finding.seen;
    }
  }
}

TEST(NamespaceChecksTest, UbuntusAppArmorBlockIsNamedWithAProfileForOurPrograms) {
  FakeHost host = failing(FakeHost::as_user(), EPERM, "user namespace: uid_map");
  host.set_sysctl("kernel.apparmor_restrict_unprivileged_userns", "1");
  const Finding finding = examined(host, "user_namespaces");
  EXPECT_EQ(finding.status, FindingStatus::kFail);
  EXPECT_NE(finding.seen.find("apparmor_restrict_unprivileged_userns=1"), std::string::npos);
  EXPECT_NE(finding.fix.find("\"/usr/bin/{airlock,airlock-jail}\" flags=(unconfined)"),
            std::string::npos);
  EXPECT_NE(finding.fix.find("sudo apparmor_parser -r /etc/apparmor.d/airlock"), std::string::npos);
}

TEST(NamespaceChecksTest, AppArmorsBlockDoesNotMatterWhereTheTrialWorks) {
  FakeHost host = FakeHost::as_user();
  host.set_sysctl("kernel.apparmor_restrict_unprivileged_userns", "1");
  EXPECT_EQ(examined(host, "user_namespaces").status, FindingStatus::kOk);
}

TEST(NamespaceChecksTest, DebiansCloneSwitchIsNamedWithItsSysctl) {
  FakeHost host = failing(FakeHost::as_user(), EPERM, "user namespace");
  host.set_sysctl("kernel.unprivileged_userns_clone", "0");
  const Finding finding = examined(host, "user_namespaces");
  EXPECT_EQ(finding.status, FindingStatus::kFail);
  EXPECT_NE(finding.fix.find("sudo sysctl -w kernel.unprivileged_userns_clone=1"),
            std::string::npos);
}

TEST(NamespaceChecksTest, AReachedLimitNamesTheSysctlOfThatNamespace) {
  FakeHost host = failing(FakeHost::as_user(), ENOSPC, "net namespace");
  host.set_sysctl("user.max_net_namespaces", "0");
  const Finding finding = examined(host, "user_namespaces");
  EXPECT_NE(finding.seen.find("user.max_net_namespaces=0"), std::string::npos);
  EXPECT_NE(finding.fix.find("sysctl -w user.max_net_namespaces="), std::string::npos);
  EXPECT_NE(examined(failing(FakeHost(), ENOSPC, "mount namespace"), "user_namespaces")
                .fix.find("user.max_mnt_namespaces"),
            std::string::npos);
}

TEST(NamespaceChecksTest, AKernelWithoutUserNamespacesIsSaidToBeOne) {
  const Finding finding =
      examined(failing(FakeHost(), EINVAL, "user namespace"), "user_namespaces");
  EXPECT_NE(finding.fix.find("CONFIG_USER_NS"), std::string::npos);
}

TEST(NamespaceChecksTest, AContainerGetsTheOptionsOfItsOwnRuntime) {
  FakeHost host = failing(FakeHost(), EPERM, "mount proc");
  host.files["/proc/self/mountinfo"] =
      "27 1 0:50 / / rw - overlay overlay rw,lowerdir=l\n"
      "31 27 0:51 / /proc rw - proc proc rw\n"
      "32 31 0:52 / /proc/kcore rw - tmpfs tmpfs rw\n";
  host.files["/.dockerenv"] = "";
  const Finding docker = examined(host, "user_namespaces");
  EXPECT_EQ(docker.status, FindingStatus::kFail);
  EXPECT_NE(docker.seen.find("inside Docker; parts of /proc are masked"), std::string::npos);
  EXPECT_NE(docker.fix.find("systempaths=unconfined"), std::string::npos);

  host.files["/run/systemd/container"] = "lxc\n";
  host.remove_file("/.dockerenv");
  EXPECT_NE(examined(host, "user_namespaces").fix.find("security.nesting"), std::string::npos);
}

TEST(NamespaceChecksTest, GvisorIsToldByItsFixedKernelName) {
  FakeHost host = failing(FakeHost(), EPERM, "mount tmpfs");
  host.kernel_name = {
      .release = "4.4.0", .version = "#1 SMP Sun Jan 10 15:06:54 PST 2016", .machine = "x86_64"};
  EXPECT_NE(examined(host, "user_namespaces").seen.find("inside gVisor"), std::string::npos);
}

TEST(NamespaceChecksTest, AMarkerFileOnAPlainDiskIsNoContainer) {
  FakeHost host = failing(FakeHost::as_user(), EPERM, "user namespace");
  host.files["/.dockerenv"] = "";
  EXPECT_EQ(examined(host, "user_namespaces").fix.find("docker"), std::string::npos);
}

TEST(NamespaceChecksTest, UnknownRefusalsStillHaveAFix) {
  EXPECT_NE(examined(failing(FakeHost::as_user(), EPERM, "user namespace"), "user_namespaces")
                .fix.find("sudo /usr/bin/airlock"),
            std::string::npos);
  EXPECT_FALSE(examined(failing(FakeHost(), EPERM, "mount tmpfs"), "user_namespaces").fix.empty());
}

TEST(NamespaceChecksTest, ALowLimitIsAWarningThatNamesTheLowest) {
  FakeHost host;
  host.set_sysctl("user.max_net_namespaces", "10");
  const Finding finding = examined(host, "namespace_limits");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_EQ(finding.seen, "user.max_net_namespaces=10");
}

TEST(NamespaceChecksTest, ASubordinateRangeInsideRootsPoolIsAWarning) {
  FakeHost host;
  host.files["/etc/subuid"] = "bob:2013331456:65536\n";
  const Finding finding = examined(host, "uid_range");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_NE(finding.seen.find("2013331456-2013396991 to bob"), std::string::npos);
  // One id before and behind the pool does not overlap.
  host.files["/etc/subuid"] = "bob:2013265919:1\ncarol:2080374784:65536\n";
  EXPECT_EQ(examined(host, "uid_range").status, FindingStatus::kOk);
}

TEST(NamespaceChecksTest, AUserWithoutARangeIsToldAFreeOneAndWhatResultsWillList) {
  FakeHost host = FakeHost::as_user();
  host.files["/etc/subuid"] = "bob:100000:65536\n";
  host.programs.erase("/usr/bin/newuidmap");
  const Finding finding = examined(host, "uid_range");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_NE(finding.fix.find("apt-get install -y uidmap"), std::string::npos);
  EXPECT_NE(finding.fix.find("--add-subuids 165536-231071 --add-subgids 165536-231071 alice"),
            std::string::npos);
  EXPECT_EQ(finding.missing, (std::vector<std::string>{"uid_range", "supplementary_groups"}));
}

TEST(NamespaceChecksTest, ARangeGivenByNumberCounts) {
  FakeHost host = FakeHost::as_user();
  host.files["/etc/subuid"] = "1000:200000:65536\n";
  host.files["/etc/subgid"] = "1000:200000:65536\n";
  EXPECT_EQ(examined(host, "uid_range").status, FindingStatus::kOk);
}

}  // namespace
}  // namespace airlock::host
