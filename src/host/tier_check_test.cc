#include "host/tier_check.h"

#include <gtest/gtest.h>

namespace airlock::host {
namespace {

Report report_of(std::vector<Finding> findings) {
  return {.user = "root", .kernel = "6.1.0", .tier = {}, .findings = std::move(findings)};
}

Finding no_namespaces() {
  return fail_finding("namespaces", "user_namespaces", "seen", "meaning", "loosen the container");
}

TEST(TierCheckTest, AHostThatLacksNothingHasTheFullTier) {
  Report report = report_of({ok_finding("kernel", "landlock", "ABI 6")});
  apply_tier(report, "", ProcessTier::kRefused);
  EXPECT_EQ(report.tier, "full");
  EXPECT_TRUE(report.runs_will_work());
}

TEST(TierCheckTest, NestedIsATierThatRunsGetUnasked) {
  Report report = report_of({no_namespaces()});
  apply_tier(report, "nested-gvisor", ProcessTier::kRefused);
  EXPECT_EQ(report.tier, "nested-gvisor");
  EXPECT_TRUE(report.runs_will_work());
  EXPECT_EQ(report.findings[0].status, FindingStatus::kWarn);
  EXPECT_EQ(report.findings[0].fix, "loosen the container");
}

TEST(TierCheckTest, ProcessIsRefusedUntilItIsAllowed) {
  Report refused = report_of({no_namespaces()});
  apply_tier(refused, "process", ProcessTier::kRefused);
  EXPECT_EQ(refused.tier, "");
  EXPECT_FALSE(refused.runs_will_work());
  EXPECT_NE(refused.findings.back().fix.find("AIRLOCK_ALLOW_TIER=process"), std::string::npos);
  EXPECT_NE(refused.findings.back().fix.find("loosen the container"), std::string::npos);

  Report allowed = report_of({no_namespaces()});
  apply_tier(allowed, "process", ProcessTier::kAllowed);
  EXPECT_EQ(allowed.tier, "process");
  EXPECT_TRUE(allowed.runs_will_work());
}

TEST(TierCheckTest, WhatStopsEveryTierGoesOnFailing) {
  Report report = report_of(
      {no_namespaces(), fail_finding("install", "airlock-init", "not there", "meaning", "fix")});
  apply_tier(report, "nested-gvisor", ProcessTier::kAllowed);
  EXPECT_EQ(report.tier, "");
  EXPECT_EQ(report.count(FindingStatus::kFail), 2u);
}

TEST(TierCheckTest, WithoutAnAnswerNothingIsSoftened) {
  Report report = report_of({no_namespaces()});
  apply_tier(report, "", ProcessTier::kAllowed);
  EXPECT_EQ(report.tier, "");
  EXPECT_FALSE(report.runs_will_work());
}

}  // namespace
}  // namespace airlock::host
