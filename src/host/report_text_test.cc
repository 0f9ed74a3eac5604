#include "host/report_text.h"

#include <gtest/gtest.h>

#include "host/proc_files.h"

namespace airlock::host {
namespace {

Report report_of(std::vector<Finding> findings) {
  return {
      .user = "root", .kernel = "6.1.0 x86_64", .tier = "full", .findings = std::move(findings)};
}

TEST(ReportTextTest, FailuresComeFirstThenWarningsThenWhatIsOk) {
  const std::string text =
      report_text(report_of({ok_finding("kernel", "an_ok", "fine"),
                             warn_finding("memory", "a_warning", "seen", "meaning", "fix"),
                             fail_finding("files", "a_failure", "seen", "meaning", "fix")}),
                  {});
  EXPECT_TRUE(text.starts_with("Runs will NOT work on this host"));
  EXPECT_LT(text.find("a_failure"), text.find("a_warning"));
  EXPECT_LT(text.find("a_warning"), text.find("an_ok"));
}

TEST(ReportTextTest, AFixIsNeverWrappedAndAMeaningIs) {
  const std::string fix(150, 'x');
  std::string words;
  for (int i = 0; i < 60; ++i) words += "word ";
  const std::string text =
      report_text(report_of({warn_finding("memory", "id", "seen", words, fix)}),
                  {.color = TextColor::kPlain, .columns = 60});
  EXPECT_NE(text.find(fix), std::string::npos);
  for (const std::string_view line : lines_of(text)) {
    if (line.find("word") != std::string_view::npos) EXPECT_LE(line.size(), 60U);
  }
}

TEST(ReportTextTest, NamesOfTheHostCannotSteerTheTerminal) {
  const std::string text = report_text(
      report_of({warn_finding("ports", "id", "used by \x1b]0;evil\a", "a\rb", "fix\x1b[2J")}), {});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\a'), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(ReportTextTest, WhatResultsWillListIsNamed) {
  Finding finding = warn_finding("memory", "id", "seen", "meaning", "fix");
  finding.missing = {"uid_range", "cgroup"};
  EXPECT_NE(report_text(report_of({finding}), {}).find("isolation.missing: uid_range, cgroup"),
            std::string::npos);
}

TEST(ReportTextTest, ColoursOnlyWhenAsked) {
  const Report report = report_of({ok_finding("kernel", "id", "seen")});
  EXPECT_EQ(report_text(report, {}).find('\x1b'), std::string::npos);
  EXPECT_NE(report_text(report, {.color = TextColor::kAnsi, .columns = 80}).find('\x1b'),
            std::string::npos);
}

}  // namespace
}  // namespace airlock::host
