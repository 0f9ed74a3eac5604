#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "host/fake_host.h"
#include "host/proc_files.h"

namespace airlock::host {
namespace {

TEST(ExamineTest, AHealthyHostHasNothingButOk) {
  FakeHost host;
  const Report report = examine(host, usual_question());
  EXPECT_TRUE(report.runs_will_work());
  for (const Finding& finding : report.findings) {
    EXPECT_EQ(finding.status, FindingStatus::kOk) << finding.id << ": " << finding.seen;
  }
  EXPECT_EQ(report.user, "root");
  EXPECT_EQ(report.kernel, "6.1.0-18-amd64 x86_64");
}

TEST(ExamineTest, WarningsDoNotStopRunsAndFailuresDo) {
  FakeHost user = FakeHost::as_user();
  Report report = examine(user, usual_question());
  EXPECT_GT(report.count(FindingStatus::kWarn), 0U);
  EXPECT_TRUE(report.runs_will_work());
  EXPECT_EQ(report.user, "alice (uid 1000)");
  EXPECT_EQ(report.missing(), (std::vector<std::string>{"disk_quota"}));

  user.failures[Trial::kNamespaces] = {.os_errno = EPERM, .step = "user namespace"};
  report = examine(user, usual_question());
  EXPECT_FALSE(report.runs_will_work());
}

// Everything is broken at once: whatever is not ok must say what to do.
TEST(ExamineTest, EveryProblemHasAMeaningAndAFixAndEveryIdIsUsedOnce) {
  for (FakeHost host : {FakeHost(), FakeHost::as_user()}) {
    host.files.clear();
    host.nodes.clear();
    host.programs.clear();
    host.disk = {};
    for (int trial = 0; trial <= static_cast<int>(Trial::kLoopDevice); ++trial) {
      host.failures[static_cast<Trial>(trial)] = {.os_errno = EPERM, .step = "a step"};
    }
    std::set<std::string> ids;
    const Report report = examine(host, usual_question());
    EXPECT_FALSE(report.runs_will_work());
    for (const Finding& finding : report.findings) {
      EXPECT_TRUE(ids.insert(finding.id).second) << finding.id;
      EXPECT_TRUE(has(kGroups, finding.group)) << finding.group;
      EXPECT_FALSE(finding.seen.empty()) << finding.id;
      if (finding.status == FindingStatus::kOk) continue;
      EXPECT_FALSE(finding.meaning.empty()) << finding.id;
      EXPECT_FALSE(finding.fix.empty()) << finding.id;
    }
  }
}

}  // namespace
}  // namespace airlock::host
