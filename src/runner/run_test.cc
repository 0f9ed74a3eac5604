#include "runner/run.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <map>

#include "runner/fake_backend.h"

namespace airlock::runner {
namespace {

using model::OutcomeKind;

class RunTest : public testing::Test {
 protected:
  RunTest() {
    ::signal(SIGPIPE, SIG_IGN);
    request_.spec.env = {"PATH=/usr/bin:/bin"};
    io_.clock = &clock_;
  }

  static model::PhaseSpec shell(const std::string& script) {
    return {.argv = {"sh", "-c", script}, .limits = {}};
  }

  model::RunResult run_to_end() {
    auto result = run(backend_, std::move(request_), io_);
    EXPECT_TRUE(result) << result.error().to_string();
    return result ? std::move(*result) : model::RunResult{};
  }

  FakeHost host_;
  FakeBackend backend_{host_};
  base::SystemClock clock_;
  RunRequest request_;
  RunIo io_;
};

class RecordingFileSink final : public FileSink {
 public:
  base::Status take(const backend::CollectedFile& file) override {
    if (file.path == "bad") return base::fail(base::ErrorCode::kIo, "no space on this disk");
    taken[file.path] = file.size.count();
    return {};
  }
  std::map<std::string, std::uint64_t> taken;
};

TEST_F(RunTest, StepsComeInOrderAndTheSandboxIsGoneAtTheEnd) {
  request_.spec.run = shell("echo hi");
  request_.files.push_back({.path = "workspace/a", .content = base::UniqueFd()});
  const model::RunResult result = run_to_end();
  EXPECT_EQ(host_.calls,
            (std::vector<std::string>{"open_workspace", "create_sandbox", "put_file workspace/a",
                                      "exec sh", "~sandbox", "~workspace"}));
  EXPECT_EQ(result.outcome.kind, OutcomeKind::kExited);
  EXPECT_EQ(result.stdout_bytes, "hi\n");
  EXPECT_EQ(result.compile, nullptr);
}

// The lap of the exec is split by what the backend has seen; here that is a millisecond of program.
TEST_F(RunTest, AGatewayThatCannotBeHadIsAnErrorAndNoVerdict) {
  request_.spec.run = shell("echo hi");
  request_.spec.network = model::NetworkMode::kGateway;
  RunRequest again;
  again.spec = request_.spec;
  const auto without = run(backend_, std::move(request_), io_);
  ASSERT_FALSE(without);
  EXPECT_TRUE(host_.calls.empty());
  egress::Gateway gateway({}, clock_);
  io_.gateway = &gateway;
  const auto unable = run(backend_, std::move(again), io_);  // its sandboxes have no listener
  ASSERT_FALSE(unable);
  EXPECT_EQ(unable.error().message, "this sandbox has no gateway");
}

TEST_F(RunTest, TimingsOfTheStepsAddUpToTheRun) {
  request_.spec.compile = shell("sleep 0.01");
  request_.spec.run = shell("sleep 0.02");
  host_.starts_after = std::chrono::milliseconds(3);
  const auto before = clock_.steady_now();
  const model::RunTimings timings = run_to_end().timings;
  const auto took = clock_.steady_now() - before;
  EXPECT_EQ(timings.wait.count(), 0);
  EXPECT_GE(timings.compile, std::chrono::milliseconds(10));
  EXPECT_GE(timings.start, std::chrono::milliseconds(3));
  EXPECT_EQ(timings.program, std::chrono::milliseconds(1));
  EXPECT_GE(timings.start + timings.report, std::chrono::milliseconds(19));
  EXPECT_EQ(timings.collect.count(), 0);
  EXPECT_GT(timings.close.count(), 0);
  EXPECT_LE(timings.total(), took);
}

TEST_F(RunTest, AStartThatNobodySawIsAllStart) {
  request_.spec.run = shell("sleep 0.02");
  const model::RunTimings timings = run_to_end().timings;
  EXPECT_GE(timings.start, std::chrono::milliseconds(20));
  EXPECT_EQ(timings.program.count(), 0);
  EXPECT_EQ(timings.report.count(), 0);
}

TEST_F(RunTest, SuccessfulCompilationIsPartOfTheResult) {
  request_.spec.compile = shell("echo warning >&2");
  request_.spec.run = shell("exit 5");
  const model::RunResult result = run_to_end();
  EXPECT_EQ(result.outcome.exit_code, 5);
  ASSERT_NE(result.compile, nullptr);
  EXPECT_EQ(result.compile->stderr_bytes, "warning\n");
  EXPECT_EQ(result.stderr_bytes, "");
}

TEST_F(RunTest, FailedCompilationIsTheOutcomeAndTheProgramNeverRuns) {
  request_.spec.compile = shell("echo 'line 1: error' >&2; exit 1");
  request_.spec.run = shell("echo must not run");
  request_.spec.collect_output_directory = true;
  const model::RunResult result = run_to_end();
  EXPECT_EQ(result.outcome.kind, OutcomeKind::kExited);
  EXPECT_EQ(result.outcome.exit_code, 1);
  EXPECT_EQ(result.outcome.detail, "compilation failed: the compiler exited with code 1");
  ASSERT_NE(result.compile, nullptr);
  EXPECT_EQ(result.compile->stderr_bytes, "line 1: error\n");
  EXPECT_EQ(result.stdout_bytes, "");
  EXPECT_TRUE(host_.collect_asked.empty());
}

TEST_F(RunTest, CompilerOutputIsShownAndKept) {
  CaptureSink shown;
  io_.compile_output = &shown;
  request_.spec.compile = shell("echo note >&2");
  request_.spec.run = shell("true");
  const model::RunResult result = run_to_end();
  EXPECT_EQ(shown.stderr_bytes, "note\n");
  EXPECT_EQ(result.compile->stderr_bytes, "note\n");
}

TEST_F(RunTest, OutputGoesToTheSinkInsteadOfTheResult) {
  CaptureSink sink;
  io_.output = &sink;
  request_.spec.run = shell("echo streamed");
  EXPECT_EQ(run_to_end().stdout_bytes, "");
  EXPECT_EQ(sink.stdout_bytes, "streamed\n");
}

TEST_F(RunTest, CollectedFilesAndRefusalsAreInTheResult) {
  request_.spec.run = shell("true");
  request_.spec.collect = {"*.txt"};
  request_.spec.collect_output_directory = true;
  host_.output_files = {{"a.txt", "abc"}};
  host_.refused = {{"link", "symbolic link"}};
  const model::RunResult result = run_to_end();
  EXPECT_EQ(host_.collect_asked, (std::vector<std::string>{"output **", "workspace *.txt"}));
  ASSERT_EQ(result.files.size(), 2u);
  EXPECT_EQ(result.files[0].content, "abc");
  ASSERT_EQ(result.refused_files.size(), 2u);
  EXPECT_EQ(result.refused_files[0].path, "/output/link");
  EXPECT_EQ(result.refused_files[0].reason, "symbolic link");
}

TEST_F(RunTest, FileSinkThatFailsIsARefusalOfThatFile) {
  RecordingFileSink sink;
  io_.files = &sink;
  request_.spec.run = shell("true");
  request_.spec.collect_output_directory = true;
  host_.output_files = {{"bad", "1"}, {"good", "22"}};
  const model::RunResult result = run_to_end();
  EXPECT_EQ(sink.taken, (std::map<std::string, std::uint64_t>{{"good", 2}}));
  ASSERT_EQ(result.refused_files.size(), 1u);
  EXPECT_EQ(result.refused_files[0].path, "/output/bad");
}

TEST_F(RunTest, FilesThatCannotBeReadDoNotChangeTheVerdict) {
  request_.spec.run = shell("exit 4");
  request_.spec.collect_output_directory = true;
  host_.collect_fails = true;
  const model::RunResult result = run_to_end();
  EXPECT_EQ(result.outcome.exit_code, 4);
  ASSERT_EQ(result.refused_files.size(), 1u);
  EXPECT_EQ(result.refused_files[0].path, "/output");
}

TEST_F(RunTest, FailedSetupCollectsNothing) {
  request_.spec.run = shell("true");
  request_.spec.collect_output_directory = true;
  host_.setup_failure = model::SetupFailure{"mount_proc", 1, ""};
  EXPECT_EQ(run_to_end().outcome.kind, OutcomeKind::kSetupFailed);
  EXPECT_TRUE(host_.collect_asked.empty());
}

TEST_F(RunTest, IsolationThatCannotBeGivenIsRefusedBeforeAnythingStarts) {
  request_.spec.run = shell("true");
  request_.spec.min_isolation = model::IsolationLevel::kKernel;
  const auto result = run(backend_, std::move(request_), io_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, base::ErrorCode::kUnavailable);
  EXPECT_FALSE(result.error().hint.empty());
  EXPECT_TRUE(host_.calls.empty());
}

}  // namespace
}  // namespace airlock::runner
