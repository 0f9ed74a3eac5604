#include "apps/airlock/print.h"

#include <gtest/gtest.h>

#include <algorithm>

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

TEST(PrintTest, DestinationsThatWereNotReachedAreNamedAndTheirNumberIsBounded) {
  model::RunResult result = with_outcome(model::OutcomeKind::kExited, "");
  model::EgressEntry entry;
  entry.port = 443;
  entry.connections = 1;
  entry.host = "reached.example";
  entry.allowed = true;
  result.egress = {entry};
  EXPECT_EQ(printed(result), "");
  entry.host = "gone.example";
  entry.reason = "the name does not exist";
  result.egress.push_back(entry);
  EXPECT_EQ(printed(result), "airlock: failed: gone.example:443: the name does not exist\n");
  entry.allowed = false;
  entry.host = "evil\x1b";
  entry.reason = "not in the allow-list";
  for (int i = 0; i < 20; ++i) result.egress.push_back(entry);
  result.denied = {{"connect evil\x1b:443", "egress: not in the allow-list", "add --allow"}};
  const std::string text = printed(result);
  EXPECT_NE(text.find("refused: evil\\x1b:443: not in the allow-list (add --allow)\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("airlock: 11 more destinations were not reached"), std::string::npos) << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 11);
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
