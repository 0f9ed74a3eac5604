#include "base/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/check.h"

namespace airlock::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<std::string> shell(std::string script) { return {"/bin/sh", "-c", std::move(script)}; }

ChildProcess start_or_die(const ChildProcessOptions& options) {
  Result<ChildProcess> child = ChildProcess::start(options);
  AIRLOCK_CHECK(child.has_value());
  return std::move(*child);
}

ChildProcess start_shell(std::string script) {
  return start_or_die({.arguments = shell(std::move(script)), .environment = {}, .passed_fds = {}});
}

std::string text_of(std::string script) {
  Result<CommandOutput> output = run_command(shell(std::move(script)), {});
  EXPECT_TRUE(output.has_value()) << output.error().to_string();
  return output.has_value() ? output->text : std::string();
}

TEST(ChildProcessTest, TheStatusOfItsEndIsKept) {
  ChildProcess child = start_shell("exit 7");
  const int status = child.wait().value();
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(child.wait().value(), status);
  EXPECT_EQ(child.wait_for(milliseconds(0)).value(), status);
}

TEST(ChildProcessTest, TheDestructorKillsAndReaps) {
  pid_t pid = 0;
  {
    const ChildProcess child = start_shell("trap '' TERM; exec sleep 60");
    pid = child.pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(ChildProcessTest, AssignmentEndsTheChildOwnedBefore) {
  ChildProcess child = start_shell("exec sleep 60");
  const pid_t first = child.pid();
  child = start_shell("exit 3");
  EXPECT_EQ(kill(first, 0), -1);
  EXPECT_EQ(WEXITSTATUS(child.wait().value()), 3);
}

TEST(ChildProcessTest, AMovedFromChildIsNotKilled) {
  ChildProcess first = start_shell("exit 4");
  ChildProcess second = std::move(first);
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the state is the test
  { const ChildProcess ended = std::move(first); }
  EXPECT_EQ(WEXITSTATUS(second.wait().value()), 4);
}

TEST(ChildProcessTest, WaitingEndsAtTheTimeout) {
  ChildProcess child = start_shell("exec sleep 60");
  EXPECT_EQ(child.wait_for(milliseconds(20)).value(), std::nullopt);
  child.send_signal(SIGTERM);
  const std::optional<int> status = child.wait_for(seconds(20)).value();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(WTERMSIG(*status), SIGTERM);
  child.send_signal(SIGTERM);  // to nobody
}

TEST(ChildProcessTest, ThePidfdBecomesReadableAtTheEnd) {
  ChildProcess child = start_shell("exit 0");
  pollfd ended{.fd = child.pidfd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&ended, 1, 20'000), 1);
}

TEST(ChildProcessTest, AProgramThatIsNotThereIsAnErrorWithItsName) {
  const Result<ChildProcess> child =
      ChildProcess::start({.arguments = {"/no/such/program"}, .environment = {}, .passed_fds = {}});
  ASSERT_FALSE(child.has_value());
  EXPECT_EQ(child.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(child.error().to_string(), "start /no/such/program: No such file or directory");
}

TEST(ChildProcessTest, TheChildGetsTheNamedDescriptorsAndNoOther) {
  // Open without CLOEXEC, as a careless library would leave it.
  const UniqueFd leaked(open("/dev/null", O_RDONLY));
  ASSERT_TRUE(leaked.valid());
  // The shell's glob itself holds a descriptor open while it reads /proc/self/fd.
  EXPECT_EQ(text_of("for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done"),
            "0\n1\n2\n");
}

TEST(ChildProcessTest, WhatIsNotNamedOfTheStandardDescriptorsIsNull) {
  EXPECT_EQ(text_of("readlink /proc/$$/fd/0"), "/dev/null\n");
}

TEST(ChildProcessTest, ADescriptorArrivesUnderItsNewNumber) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ChildProcess child = start_or_die({.arguments = shell("printf hello >&5"),
                                     .environment = {},
                                     .passed_fds = {{.ours = writer.get(), .theirs = 5}}});
  writer.reset();
  ASSERT_EQ(WEXITSTATUS(child.wait().value()), 0);
  std::array<char, 16> text{};
  EXPECT_EQ(read(reader.get(), text.data(), text.size()), 5);
}

TEST(ChildProcessTest, DescriptorsThatOverwriteOneAnotherAreRefused) {
  const UniqueFd a(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<PassedFd> twice = {{a.get(), 7}, {a.get(), 7}};
  const std::vector<PassedFd> crossed = {{a.get(), 50}, {50, 51}};
  for (const auto& fds : {twice, crossed}) {
    const Result<ChildProcess> child =
        ChildProcess::start({.arguments = shell("exit 0"), .environment = {}, .passed_fds = fds});
    ASSERT_FALSE(child.has_value());
    EXPECT_EQ(child.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(ChildProcessTest, TheEnvironmentIsExactlyWhatWasGiven) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ChildProcess child = start_or_die({.arguments = {"/usr/bin/env"},
                                     .environment = std::vector<std::string>{"ONLY=this"},
                                     .passed_fds = {{.ours = writer.get(), .theirs = 1}}});
  writer.reset();
  ASSERT_EQ(WEXITSTATUS(child.wait().value()), 0);
  std::array<char, 64> text{};
  const ssize_t got = read(reader.get(), text.data(), text.size());
  ASSERT_GT(got, 0);
  EXPECT_EQ(std::string_view(text.data(), static_cast<std::size_t>(got)), "ONLY=this\n");
}

TEST(ChildProcessTest, SignalsThatWeBlockOrIgnoreReachTheChild) {
  signal(SIGUSR1, SIG_IGN);
  ChildProcess child = start_shell("kill -USR1 $$; exit 0");
  const int status = child.wait().value();
  signal(SIGUSR1, SIG_DFL);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGUSR1);
}

TEST(ChildProcessTest, AnOwnProcessGroupIsLedByTheChild) {
  const ChildProcess child = start_or_die({.arguments = shell("exec sleep 60"),
                                           .environment = {},
                                           .passed_fds = {},
                                           .own_process_group = true});
  EXPECT_EQ(getpgid(child.pid()), child.pid());
  const ChildProcess other = start_shell("exec sleep 60");
  EXPECT_EQ(getpgid(other.pid()), getpgrp());
}

TEST(RunCommandTest, BothStreamsAndTheStatusComeBack) {
  const Result<CommandOutput> output = run_command(shell("echo out; echo err >&2; exit 5"), {});
  ASSERT_TRUE(output.has_value());
  EXPECT_EQ(output->text, "out\nerr\n");
  EXPECT_EQ(WEXITSTATUS(output->wait_status), 5);
}

TEST(RunCommandTest, ACommandThatHangsIsKilledInTime) {
  const auto start = std::chrono::steady_clock::now();
  const Result<CommandOutput> output =
      run_command(shell("exec sleep 60"), {.timeout = milliseconds(50)});
  ASSERT_FALSE(output.has_value());
  EXPECT_EQ(output.error().code, ErrorCode::kLimitExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(20));
}

TEST(RunCommandTest, ACommandThatClosesItsOutputAndHangsIsKilledInTime) {
  const Result<CommandOutput> output =
      run_command(shell("exec sleep 60 >&- 2>&-"), {.timeout = milliseconds(50)});
  ASSERT_FALSE(output.has_value());
  EXPECT_EQ(output.error().code, ErrorCode::kLimitExceeded);
}

TEST(RunCommandTest, OutputExactlyAtTheLimitIsFineAndOneByteMoreIsNot) {
  const CommandLimits limits{.timeout = seconds(20), .output_max = ByteCount(6)};
  EXPECT_EQ(run_command(shell("printf 123456"), limits).value().text, "123456");
  const Result<CommandOutput> output = run_command(shell("printf 1234567"), limits);
  ASSERT_FALSE(output.has_value());
  EXPECT_EQ(output.error().code, ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace airlock::base
