#include <gtest/gtest.h>

#include "host/fake_host.h"

namespace airlock::host {
namespace {

Finding examined(FakeHost host, std::string_view id) {
  Findings findings = check_host(host);
  for (Finding& finding : check_memory(host)) findings.push_back(std::move(finding));
  const Finding* finding = find_finding(findings, id);
  return finding != nullptr ? *finding : Finding{};
}

TEST(HostChecksTest, APipedCorePatternIsAWarningThatNamesTheProgram) {
  EXPECT_EQ(examined(FakeHost(), "core_dumps").status, FindingStatus::kOk);
  FakeHost host;
  host.set_sysctl("kernel.core_pattern", "|/usr/share/apport/apport -p%p");
  const Finding finding = examined(host, "core_dumps");
  EXPECT_EQ(finding.status, FindingStatus::kWarn);
  EXPECT_NE(finding.seen.find("/usr/share/apport/apport"), std::string::npos);
  EXPECT_NE(finding.fix.find("sysctl -w kernel.core_pattern=core"), std::string::npos);
}

TEST(HostChecksTest, StrictOvercommitIsAWarning) {
  FakeHost host;
  host.set_sysctl("vm.overcommit_memory", "1");
  EXPECT_EQ(examined(host, "overcommit").status, FindingStatus::kOk);
  host.set_sysctl("vm.overcommit_memory", "2");
  EXPECT_EQ(examined(host, "overcommit").status, FindingStatus::kWarn);
}

TEST(HostChecksTest, LessMemoryThanOneDefaultRunMayUseIsAWarning) {
  FakeHost host;
  host.files["/proc/meminfo"] = "MemTotal: 8000000 kB\nMemAvailable: 524287 kB\n";
  EXPECT_EQ(examined(host, "memory").status, FindingStatus::kWarn);
  host.files["/proc/meminfo"] = "MemTotal: 8000000 kB\nMemAvailable: 524288 kB\n";
  EXPECT_EQ(examined(host, "memory").status, FindingStatus::kOk);
  host.remove_file("/proc/meminfo");
  EXPECT_EQ(examined(host, "memory").status, FindingStatus::kWarn);
}

TEST(HostChecksTest, SecurityModulesAreNamed) {
  FakeHost host;
  host.files["/sys/fs/selinux/enforce"] = "1";
  host.files["/proc/self/attr/apparmor/current"] = "unconfined\n";
  host.set_sysctl("kernel.yama.ptrace_scope", "1");
  EXPECT_EQ(examined(host, "security_modules").seen,
            "AppArmor: unconfined, SELinux enforcing, Yama ptrace_scope 1");
}

TEST(HostChecksTest, TheContainerIsNamed) {
  FakeHost host;
  EXPECT_EQ(examined(host, "container").seen, "not in one");
  host.nodes["/var/run/secrets/kubernetes.io"] = {};
  EXPECT_EQ(examined(host, "container").seen, "inside Kubernetes");
}

}  // namespace
}  // namespace airlock::host
