#include <gtest/gtest.h>

#include "host/checks.h"
#include "host/fake_host.h"

namespace airlock::host {
namespace {

const Question kUsual{.programs = "/usr/bin", .state = "/var/lib/airlock"};

FakeHost host_with(std::initializer_list<const char*> programs) {
  FakeHost host;
  for (const char* const path : programs) {
    host.nodes[path] = {.kind = FileKind::kRegular, .owner = 0, .mode = 0755};
    host.programs.insert(path);
  }
  return host;
}

TEST(BackendChecksTest, AHostWithNeitherIsFineAndToldSo) {
  FakeHost host = host_with({"/usr/bin/airlock-broker", "/usr/bin/airlock-link"});
  const Findings findings = check_backends(host, kUsual);
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].seen, "no runsc");
  EXPECT_EQ(findings[1].seen, "no socket of dockerd");
  for (const Finding& finding : findings) EXPECT_EQ(finding.status, FindingStatus::kOk);
}

TEST(BackendChecksTest, WhatIsThereIsNamedWithItsRisk) {
  FakeHost host = host_with(
      {"/usr/bin/airlock-broker", "/usr/bin/airlock-link", "/usr/bin/runsc", "/run/docker.sock"});
  const Findings findings = check_backends(host, kUsual);
  EXPECT_EQ(findings[0].seen, "/usr/bin/runsc");
  EXPECT_EQ(findings[1].seen, "/run/docker.sock");
  EXPECT_NE(findings[1].meaning.find("root on this host"), std::string::npos);
}

TEST(BackendChecksTest, ProgramsThatAreMissingAreAWarning) {
  FakeHost host;
  host.nodes.erase("/usr/bin/airlock-link");
  const Findings findings = check_backends(host, kUsual);
  EXPECT_EQ(findings[2].status, FindingStatus::kWarn);
  EXPECT_EQ(findings[2].seen, "/usr/bin/airlock-link is not there");
  host.nodes["/usr/bin/runsc"] = {.kind = FileKind::kRegular, .owner = 0, .mode = 0600};
  EXPECT_EQ(check_backends(host, kUsual)[0].fix, "chmod 0755 /usr/bin/runsc");
}

}  // namespace
}  // namespace airlock::host
