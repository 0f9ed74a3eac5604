#include <gtest/gtest.h>

#include "host/fake_host.h"

namespace airlock::host {
namespace {

constexpr const char* kJail = "/usr/bin/airlock-jail";
constexpr const char* kListening8088 =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:1F98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
    "777 1\n";

Finding jail_of(FakeHost host) {
  const Findings findings = check_install(host, usual_question());
  const Finding* finding = find_finding(findings, "airlock-jail");
  return finding != nullptr ? *finding : Finding{};
}

TEST(InstallChecksTest, AProgramThatIsNotThereOrNotExecutableFails) {
  EXPECT_EQ(jail_of(FakeHost()).status, FindingStatus::kOk);
  FakeHost absent;
  absent.nodes.erase(kJail);
  EXPECT_EQ(jail_of(absent).status, FindingStatus::kFail);
  FakeHost locked;
  locked.programs.erase(kJail);
  EXPECT_EQ(jail_of(locked).fix, "chmod 0755 /usr/bin/airlock-jail");
}

TEST(InstallChecksTest, TheProgramForLowerTiersIsNeededOnlyThere) {
  FakeHost absent;
  absent.nodes.erase("/usr/bin/airlock-nest");
  const Findings findings = check_install(absent, usual_question());
  const Finding* const finding = find_finding(findings, "airlock-nest");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->status, FindingStatus::kWarn);
  EXPECT_NE(finding->fix.find("install -m 0755"), std::string::npos);
}

TEST(InstallChecksTest, RunsNeedNoDaemon) {
  FakeHost absent;
  absent.nodes.erase("/usr/bin/airlock-daemon");
  const Findings findings = check_install(absent, usual_question());
  const Finding* const finding = find_finding(findings, "airlock-daemon");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->status, FindingStatus::kWarn);
  EXPECT_NE(finding->meaning.find("airlock serve"), std::string::npos);
}

TEST(InstallChecksTest, WhatOthersMayChangeIsAWarning) {
  FakeHost writable;
  writable.nodes[kJail].mode = 0775;
  EXPECT_EQ(jail_of(writable).status, FindingStatus::kWarn);
  FakeHost foreign;
  foreign.nodes[kJail].owner = 1000;
  EXPECT_EQ(jail_of(foreign).status, FindingStatus::kWarn);
  FakeHost setuid;
  setuid.nodes[kJail].mode = 04755;
  EXPECT_EQ(jail_of(setuid).fix, "chmod ug-s /usr/bin/airlock-jail");
  FakeHost own = FakeHost::as_user();
  own.nodes[kJail].owner = 1000;
  EXPECT_EQ(jail_of(own).status, FindingStatus::kOk);
}

TEST(PortChecksTest, WhoeverListensIsNamed) {
  FakeHost host;
  host.files["/proc/net/tcp"] = kListening8088;
  Findings findings = check_port(host, usual_question());
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].seen, "8088 is in use by a process of another user");
  host.socket_owners[777] = "nginx (pid 812)";
  findings = check_port(host, usual_question());
  EXPECT_EQ(findings[0].seen, "8088 is in use by nginx (pid 812)");
  EXPECT_EQ(findings[0].status, FindingStatus::kWarn);
}

}  // namespace
}  // namespace airlock::host
