// Processes with a tag and their logs, on the real launcher. Needs root (or user namespaces).
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "backend/native/durable_fixture.h"

namespace airlock::backend::native {
namespace {

using model::OutcomeKind;

class DurableLogTest : public DurableFixture {};

TEST_F(DurableLogTest, TheLogIsWholeAndInOrder) {
  auto workspace = open("whole");
  auto sandbox = create_sandbox(*workspace);
  auto process = start(*sandbox, "run",
                       "i=0; while [ $i -lt 5000 ]; do echo line $i; echo error $i >&2; "
                       "i=$((i+1)); done; echo end > /dev/stdout");
  const auto report = process->wait();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(model::classify(report->facts).exit_code, 0);
  std::string out;
  std::string err;
  for (int i = 0; i < 5'000; ++i) {
    out += "line " + std::to_string(i) + "\n";
    err += "error " + std::to_string(i) + "\n";
  }
  const Log log = log_of("run");
  EXPECT_TRUE(log.whole);
  EXPECT_TRUE(log.ordered);
  EXPECT_EQ(log.out, out + "end\n");
  EXPECT_EQ(log.err, err);
  EXPECT_EQ(log.notes, "");
  ASSERT_TRUE(report->log.has_value());
  EXPECT_EQ(report->log->written.count(), log.out.size() + log.err.size());
  EXPECT_EQ(report->log->dropped.count(), 0u);
  EXPECT_FALSE(report->log->truncated);
  EXPECT_TRUE(workspace->end().has_value());
  EXPECT_TRUE(names_alive().empty());
}

TEST_F(DurableLogTest, ALargeOutputWrittenAtOnceIsInTheLogBeforeTheReport) {
  auto workspace = open("large");
  auto sandbox = create_sandbox(*workspace);
  auto process = start(*sandbox, "run", "head -c 5000000 /dev/zero; exit 3");
  EXPECT_EQ(outcome_of(*process).exit_code, 3);
  EXPECT_EQ(log_of("run").out.size(), 5'000'000u);
}

TEST_F(DurableLogTest, AGuestThatFloodsItsLogReachesItsDeadlineLikeAnyOther) {
  auto workspace = open("flood");
  auto sandbox = create_sandbox(*workspace);
  model::Limits limits;
  limits.wall_time = milliseconds(700);
  auto process = start(*sandbox, "run", "yes & yes >&2 & exec yes", limits, base::mebibytes(1));
  const auto report = process->wait();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(model::classify(report->facts).kind, OutcomeKind::kWallTimeout);
  EXPECT_LT(report->usage.wall, milliseconds(2'000));
  EXPECT_TRUE(report->log->truncated);
  EXPECT_GT(report->log->dropped.count(), 0u);
  EXPECT_LT(std::filesystem::file_size(log_path("run")), base::mebibytes(1).count() + 200);
}

TEST_F(DurableLogTest, BeyondItsBoundALogSaysSoAndTheProgramGoesOn) {
  auto workspace = open("bound");
  auto sandbox = create_sandbox(*workspace);
  auto process = start(*sandbox, "run", "head -c 1000000 /dev/zero; echo last >&2; exit 5", {},
                       base::kibibytes(100));
  const auto report = process->wait();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(model::classify(report->facts).exit_code, 5);
  const Log log = log_of("run");
  EXPECT_TRUE(log.whole);
  EXPECT_NE(log.notes.find("reached its limit"), std::string::npos);
  EXPECT_EQ(report->log->written.count(), log.out.size() + log.err.size());
  EXPECT_EQ(report->log->written.count() + report->log->dropped.count(), 1'000'005u);
  EXPECT_TRUE(report->log->truncated);
}

TEST_F(DurableLogTest, ATagIsGivenOnceAndALogIsAFile) {
  auto workspace = open("job_1");
  auto sandbox = create_sandbox(*workspace);
  auto running = start(*sandbox, "run", "echo up; sleep 1; exit 9");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd other_end(ends[0]);
  std::pair<UniqueFd, int> bad[6];
  bad[0] = {open_log("run"), EEXIST};  // with the tag that is taken
  bad[1] = {UniqueFd(ends[1]), EBADF};
  bad[2] = {UniqueFd(::open(state_.c_str(), O_RDONLY | O_CLOEXEC)), EBADF};
  bad[3] = {UniqueFd(::open(log_path("run").c_str(), O_RDONLY | O_CLOEXEC)), EBADF};
  bad[4] = {UniqueFd(::open(log_path("run").c_str(), O_WRONLY | O_CLOEXEC)), EBADF};
  bad[5] = {UniqueFd(::open("/proc/self/oom_score_adj", O_WRONLY | O_APPEND | O_CLOEXEC)), EBADF};
  for (std::size_t i = 0; i < std::size(bad); ++i) {
    ASSERT_TRUE(bad[i].first.valid()) << i;
    auto process =
        try_start(*sandbox, i == 0 ? "run" : "other", "true", {std::move(bad[i].first), kRoomy});
    ASSERT_TRUE(process.has_value());
    const auto report = (*process)->wait();
    ASSERT_TRUE(report.has_value()) << i;
    ASSERT_TRUE(report->facts.setup_failure.has_value()) << i;
    EXPECT_EQ(report->facts.setup_failure->stage, "request");
    EXPECT_EQ(report->facts.setup_failure->os_errno, bad[i].second) << i;
  }
  EXPECT_FALSE(try_start(*sandbox, "other", "true", {}).has_value()) << "a tag has a log";
  EXPECT_EQ(outcome_of(*running).exit_code, 9) << "nothing of this was its fault";
}

TEST_F(DurableLogTest, ATagNeedsADurableWorkspace) {
  auto workspace = backend()
                       .open_workspace({.disk = base::mebibytes(16), .inodes = 100, .memory = {}})
                       .value()
                       .release();
  const std::unique_ptr<Workspace> owner(workspace);
  auto sandbox = create_sandbox(*workspace);
  auto process = start(*sandbox, "run", "true");
  const auto report = process->wait();
  ASSERT_TRUE(report.has_value() && report->facts.setup_failure.has_value());
  EXPECT_EQ(report->facts.setup_failure->os_errno, ENOTSUP);
  EXPECT_FALSE(workspace->end().has_value());
  EXPECT_FALSE(sandbox->end().has_value());
}

}  // namespace
}  // namespace airlock::backend::native
