#include "runner/exec_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "runner/fake_backend.h"

namespace airlock::runner {
namespace {

using model::KillReason;

class ExecLoopTest : public testing::Test {
 protected:
  ExecLoopTest() {
    ::signal(SIGPIPE, SIG_IGN);
    workspace_ = std::move(*backend_.open_workspace({}));
    sandbox_ = std::move(*workspace_->create_sandbox({}));
  }

  ExecReport exec(const std::string& script, base::ByteCount cap = base::mebibytes(1)) {
    backend::ProcessSpec spec{.argv = {"sh", "-c", script},
                              .env = {"PATH=/usr/bin:/bin", "TERM=dumb"},
                              .limits = {},
                              .terminal = terminal_};
    spec.limits.output = cap;
    auto report = exec_to_end(
        *sandbox_, std::move(spec),
        {.stdin_fd = stdin_fd_.get(), .sink = sink_, .control = &control_, .clock = &clock_});
    EXPECT_TRUE(report) << report.error().to_string();
    return report ? std::move(*report) : ExecReport{};
  }

  bool was_called(const std::string& call) const {
    return std::ranges::find(host_.calls, call) != host_.calls.end();
  }

  // A stdin that holds `text` and then ends.
  void feed(std::string_view text) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ASSERT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(ends[1]);
    stdin_fd_ = base::UniqueFd(ends[0]);
  }

  FakeHost host_;
  FakeBackend backend_{host_};
  std::unique_ptr<backend::Workspace> workspace_;
  std::unique_ptr<backend::Sandbox> sandbox_;
  FakeControl control_;
  base::SystemClock clock_;
  CaptureSink captured_;
  OutputSink* sink_ = &captured_;
  base::UniqueFd stdin_fd_;
  bool terminal_ = false;
};

// Presses Ctrl-C when the program has said something.
class CancellingSink final : public OutputSink {
 public:
  CancellingSink(FakeControl& control, std::vector<ControlEvent> events)
      : control_(control), events_(std::move(events)) {}
  base::Result<std::size_t> write_some(Stream, std::string_view bytes) override {
    for (ControlEvent event : events_) control_.push(event);
    events_.clear();
    return bytes.size();
  }
  int writable_fd(Stream) const override { return -1; }

 private:
  FakeControl& control_;
  std::vector<ControlEvent> events_;
};

class ClosedSink final : public OutputSink {
 public:
  base::Result<std::size_t> write_some(Stream, std::string_view) override {
    return base::fail(base::ErrorCode::kIo, "nobody reads");
  }
  int writable_fd(Stream) const override { return -1; }
};

TEST_F(ExecLoopTest, BothStreamsAndTheExitCodeArrive) {
  const ExecReport report = exec("echo out; echo err >&2; exit 3");
  EXPECT_EQ(captured_.stdout_bytes, "out\n");
  EXPECT_EQ(captured_.stderr_bytes, "err\n");
  EXPECT_EQ(WEXITSTATUS(report.process.facts.wait_status), 3);
  EXPECT_FALSE(report.process.facts.cancelled);
}

TEST_F(ExecLoopTest, WithoutStdinTheProgramReadsTheEndAtOnce) {
  exec("cat; echo end");
  EXPECT_EQ(captured_.stdout_bytes, "end\n");
}

TEST_F(ExecLoopTest, StdinIsPassedThroughToItsEnd) {
  feed("one\ntwo\n");
  exec("cat");
  EXPECT_EQ(captured_.stdout_bytes, "one\ntwo\n");
}

TEST_F(ExecLoopTest, ProgramThatIgnoresStdinDoesNotHang) {
  feed("never read");
  EXPECT_EQ(WEXITSTATUS(exec("exec 0<&-; exit 7").process.facts.wait_status), 7);
}

TEST_F(ExecLoopTest, OutputExactlyAtTheCapIsNoLimit) {
  const ExecReport report = exec("printf 1234", base::ByteCount(4));
  EXPECT_EQ(report.process.facts.kill_reason, KillReason::kNone);
  EXPECT_FALSE(report.stdout_truncated);
}

TEST_F(ExecLoopTest, OneByteMoreIsTheOutputLimitEvenFromAProgramThatHasEnded) {
  const ExecReport report = exec("printf 12345", base::ByteCount(4));
  EXPECT_EQ(report.process.facts.kill_reason, KillReason::kOutputLimit);
  EXPECT_TRUE(report.stdout_truncated);
  EXPECT_EQ(captured_.stdout_bytes, "1234");
}

TEST_F(ExecLoopTest, EndlessOutputIsKilledAndOnlyItsStreamIsTruncated) {
  const ExecReport report = exec("echo fine; yes >&2", base::kibibytes(100));
  EXPECT_TRUE(was_called("kill"));
  EXPECT_EQ(report.process.facts.kill_reason, KillReason::kOutputLimit);
  EXPECT_FALSE(report.stdout_truncated);
  EXPECT_TRUE(report.stderr_truncated);
  EXPECT_EQ(captured_.stderr_bytes.size(), 100u * 1024);
}

TEST_F(ExecLoopTest, ForgottenWriterDoesNotHangTheLoop) {
  host_.hold_output_open = true;
  exec("echo done");
  EXPECT_EQ(captured_.stdout_bytes, "done\n");
}

TEST_F(ExecLoopTest, InterruptIsForwardedAsSigint) {
  CancellingSink sink(control_, {ControlEvent::kInterrupt});
  sink_ = &sink;
  const ExecReport report = exec("trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done");
  EXPECT_TRUE(was_called("signal 2"));
  EXPECT_FALSE(was_called("terminate"));
  EXPECT_TRUE(report.process.facts.cancelled);
}

TEST_F(ExecLoopTest, ProgramThatIgnoresSigintIsTerminatedAfterItsGrace) {
  CancellingSink sink(control_, {ControlEvent::kInterrupt});
  sink_ = &sink;
  const auto start = std::chrono::steady_clock::now();
  exec("trap '' INT; echo ready; while :; do sleep 0.01; done");
  EXPECT_TRUE(was_called("terminate"));
  EXPECT_GE(std::chrono::steady_clock::now() - start, kInterruptGrace);
}

TEST_F(ExecLoopTest, SecondRequestKillsAtOnce) {
  CancellingSink sink(control_, {ControlEvent::kTerminate, ControlEvent::kTerminate});
  sink_ = &sink;
  exec("trap '' TERM INT; echo ready; while :; do sleep 0.01; done");
  EXPECT_TRUE(was_called("terminate"));
  EXPECT_TRUE(was_called("kill"));
}

TEST_F(ExecLoopTest, ClosedReaderCancelsTheRun) {
  ClosedSink sink;
  sink_ = &sink;
  const ExecReport report = exec("while :; do echo more; done");
  EXPECT_TRUE(report.reader_gone);
  EXPECT_TRUE(report.process.facts.cancelled);
}

TEST_F(ExecLoopTest, DeadKeeperIsAnErrorNotAVerdict) {
  host_.keeper_dies = true;
  backend::ProcessSpec spec{.argv = {"true"}, .env = {"PATH=/usr/bin:/bin"}, .limits = {}};
  const auto report = exec_to_end(*sandbox_, std::move(spec),
                                  {.sink = sink_, .control = nullptr, .clock = &clock_});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, base::ErrorCode::kUnavailable);
}

// Lets time pass when the program has said something.
class LateSink final : public OutputSink {
 public:
  explicit LateSink(base::ManualClock& clock) : clock_(clock) {}
  base::Result<std::size_t> write_some(Stream, std::string_view bytes) override {
    clock_.advance(std::chrono::minutes(2));
    return bytes.size();
  }
  int writable_fd(Stream) const override { return -1; }

 private:
  base::ManualClock& clock_;
};

TEST_F(ExecLoopTest, KeeperThatHangsIsNotWaitedForForEver) {
  base::ManualClock clock;
  LateSink sink(clock);
  backend::ProcessSpec spec{
      .argv = {"sh", "-c", "echo; sleep 1000"}, .env = {"PATH=/usr/bin:/bin"}, .limits = {}};
  spec.limits.wall_time = std::chrono::seconds(1);
  const auto report =
      exec_to_end(*sandbox_, std::move(spec), {.sink = &sink, .control = nullptr, .clock = &clock});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, base::ErrorCode::kUnavailable);
  EXPECT_NE(report.error().message.find("does not answer"), std::string::npos);
}

TEST_F(ExecLoopTest, TerminalOfTheProgramIsItsOwnAndHasTheUsersSize) {
  terminal_ = true;
  control_.size = WindowSize{.rows = 33, .columns = 111};
  exec("test -t 0 && test -t 1 && test -t 2 && echo tty; sleep 0.1; stty size");
  EXPECT_NE(captured_.stdout_bytes.find("tty\r\n"), std::string::npos);
  EXPECT_NE(captured_.stdout_bytes.find("33 111"), std::string::npos) << captured_.stdout_bytes;
  EXPECT_EQ(control_.terminals_opened, 1);
}

}  // namespace
}  // namespace airlock::runner
