#include <gtest/gtest.h>

#include <cerrno>

#include "host/fake_host.h"

namespace airlock::host {
namespace {

Finding examined(FakeHost host, std::string_view id) {
  const Findings findings = check_kernel(host);
  const Finding* finding = find_finding(findings, id);
  return finding != nullptr ? *finding : Finding{};
}

FakeHost failing(Trial trial, int os_errno) {
  FakeHost host;
  host.failures[trial] = {.os_errno = os_errno, .step = "a step"};
  return host;
}

FindingStatus status_of_release(const char* release, const char* machine = "x86_64") {
  FakeHost host;
  host.kernel_name.release = release;
  host.kernel_name.machine = machine;
  return examined(host, "kernel").status;
}

TEST(KernelChecksTest, AgeDecides) {
  EXPECT_EQ(status_of_release("5.10.0-28-amd64"), FindingStatus::kFail);
  EXPECT_EQ(status_of_release("5.11.0"), FindingStatus::kWarn);
  EXPECT_EQ(status_of_release("6.0.19"), FindingStatus::kWarn);
  EXPECT_EQ(status_of_release("6.1.0"), FindingStatus::kOk);
  EXPECT_EQ(status_of_release("10.0-rc1"), FindingStatus::kOk);
  EXPECT_EQ(status_of_release("strange"), FindingStatus::kFail);
  EXPECT_EQ(status_of_release("6.1.0", "aarch64"), FindingStatus::kFail);
}

TEST(KernelChecksTest, EveryNeededCallThatIsRefusedFailsByName) {
  const std::pair<Trial, const char*> calls[] = {{Trial::kClone3, "clone3"},
                                                 {Trial::kPidfd, "pidfd"},
                                                 {Trial::kOpenat2, "openat2"},
                                                 {Trial::kMountApi, "mount API"}};
  for (const auto& [trial, name] : calls) {
    const Finding finding = examined(failing(trial, ENOSYS), "system_calls");
    EXPECT_EQ(finding.status, FindingStatus::kFail);
    EXPECT_EQ(finding.seen, std::string("refused: ") + name + " (Function not implemented)");
    EXPECT_FALSE(finding.fix.empty());
  }
}

TEST(KernelChecksTest, WithoutFiltersNothingRunsAndWithoutListenersDenialsAreNotReported) {
  EXPECT_EQ(examined(failing(Trial::kSeccompFilter, EINVAL), "seccomp").status,
            FindingStatus::kFail);
  const Finding finding = examined(failing(Trial::kSeccompNotify, EBUSY), "seccomp");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_EQ(finding.missing, (std::vector<std::string>{"denial_report"}));
}

TEST(KernelChecksTest, LandlockOffAtBootKeepsTheOtherModulesInItsFix) {
  FakeHost host = failing(Trial::kLandlock, EOPNOTSUPP);
  host.files["/sys/kernel/security/lsm"] = "capability,yama,apparmor";
  const Finding off = examined(host, "landlock");
  EXPECT_EQ(off.missing, (std::vector<std::string>{"landlock"}));
  EXPECT_NE(off.fix.find("lsm=landlock,capability,yama,apparmor "), std::string::npos);
  EXPECT_NE(examined(failing(Trial::kLandlock, ENOSYS), "landlock").seen.find("not in this kernel"),
            std::string::npos);
}

TEST(KernelChecksTest, CoreSchedulingIsNotMissedWithoutSmt) {
  FakeHost host = failing(Trial::kCoreScheduling, EINVAL);
  const Finding missed = examined(host, "core_scheduling");
  EXPECT_EQ(missed.status, FindingStatus::kWarn);
  EXPECT_EQ(missed.missing, (std::vector<std::string>{"core_scheduling"}));
  host.files["/sys/devices/system/cpu/smt/active"] = "0\n";
  const Finding finding = examined(host, "core_scheduling");
  EXPECT_EQ(finding.status, FindingStatus::kOk);
  EXPECT_EQ(finding.missing, std::vector<std::string>{});
}

}  // namespace
}  // namespace airlock::host
