#include "apps/airlock/print.h"

#include <gtest/gtest.h>

namespace airlock::apps {
namespace {

model::RunResult with_outcome(model::OutcomeKind kind, std::string detail) {
  model::RunResult result;
  result.outcome.kind = kind;
  result.outcome.detail = std::move(detail);
  return result;
}

std::string printed(const model::RunResult& result) {
  testing::internal::CaptureStderr();
  print_outcome(result);
  return testing::internal::GetCapturedStderr();
}

TEST(PrintTest, EscapesOfTheTerminalAreShownNotSent) {
  EXPECT_EQ(escaped("a\x1b]0;x\x07"
                    "b\n\x7f"),
            "a\\x1b]0;x\\x07b\\x0a\\x7f");
  EXPECT_EQ(escaped("\xc2\x9b"
                    "1m \xff"),
            "\\xc2\\x9b1m \\xff");
  EXPECT_EQ(escaped("é € 😀"), "é € 😀");
}

TEST(PrintTest, PlainExitSaysNothing) {
  EXPECT_EQ(printed(with_outcome(model::OutcomeKind::kExited, "")), "");
}

TEST(PrintTest, FailedCompilationSaysSo) {
  EXPECT_EQ(printed(with_outcome(model::OutcomeKind::kExited, "compilation failed: ...")),
            "airlock: exited: compilation failed: ...\n");
}

TEST(PrintTest, LimitThatWasHitComesWithItsFlag) {
  EXPECT_EQ(printed(with_outcome(model::OutcomeKind::kOutOfMemory, "memory limit of 512 MiB")),
            "airlock: out_of_memory: memory limit of 512 MiB (raise it with --memory)\n");
  model::RunResult inodes = with_outcome(model::OutcomeKind::kDiskLimit, "files");
  inodes.outcome.limits_hit = {model::LimitKind::kInodes};
  EXPECT_EQ(printed(inodes), "airlock: disk_limit: files (raise it with --inodes)\n");
}

TEST(PrintTest, DenialComesWithItsRuleAndItsFix) {
  model::RunResult result = with_outcome(model::OutcomeKind::kDenied, "denied: ptrace");
  result.denied = {{"ptrace", "seccomp default: reads other processes", "debug outside"}};
  EXPECT_EQ(printed(result),
            "airlock: denied: ptrace\n"
            "  ptrace: seccomp default: reads other processes\n    fix: debug outside\n");
}

TEST(PrintTest, NameOfTheOutcomeIsSaidOnce) {
  EXPECT_EQ(printed(with_outcome(model::OutcomeKind::kCancelled, "cancelled")),
            "airlock: cancelled\n");
}

TEST(PrintTest, RefusedOutputsAreNamedAndTheirNumberIsBounded) {
  model::RunResult result = with_outcome(model::OutcomeKind::kExited, "");
  for (int i = 0; i < 30; ++i) result.refused_files.push_back({"evil\x1b", "symbolic link"});
  const std::string text = printed(result);
  EXPECT_NE(text.find("airlock: output refused: evil\\x1b: symbolic link\n"), std::string::npos);
  EXPECT_NE(text.find("airlock: output refused: 10 more\n"), std::string::npos);
}

TEST(PrintTest, ErrorComesWithItsHint) {
  testing::internal::CaptureStderr();
  print_error(base::Error{base::ErrorCode::kIo, 2, "open \"x\"", "name a file"});
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "airlock: open \"x\": No such file or directory\n  name a file\n");
}

}  // namespace
}  // namespace airlock::apps
