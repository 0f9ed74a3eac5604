// The contract of the three resources, on the real launcher. Needs root (or user namespaces).
#include "backend/native/native_backend.h"
#include "backend/native/test_launcher.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace airlock::backend::native {
namespace {

using base::UniqueFd;
using model::KillReason;

UniqueFd memory_file(std::string_view content) {
  UniqueFd fd(memfd_create("content", MFD_CLOEXEC));
  EXPECT_EQ(write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  return fd;
}

std::string read_all(int fd) {
  std::string text;
  char chunk[4096];
  for (ssize_t count = 0; (count = read(fd, chunk, sizeof chunk)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(count));
  }
  return text;
}

// A process with its output; `report` is only there after wait().
struct Started {
  std::unique_ptr<Process> process;
  UniqueFd output;
};

class NativeBackendTest : public testing::Test {
 protected:
  void SetUp() override {
    auto backend =
        start_backend({.launcher_path = test_launcher(), .state_directory = {}, .single = false});
    ASSERT_TRUE(backend.has_value()) << backend.error().to_string();
    backend_ = std::move(*backend);
  }

  std::unique_ptr<Workspace> open_workspace(bool reusable = false, std::uint64_t disk_mib = 16) {
    auto workspace = backend_->open_workspace(
        {.disk = base::mebibytes(disk_mib), .inodes = 1'000, .memory = {}, .reusable = reusable});
    EXPECT_TRUE(workspace.has_value());
    return std::move(*workspace);
  }
  std::unique_ptr<Sandbox> create_sandbox(Workspace& workspace) {
    auto sandbox = workspace.create_sandbox({});
    EXPECT_TRUE(sandbox.has_value());
    return std::move(*sandbox);
  }
  Started start(Sandbox& sandbox, const std::string& script, model::Limits limits = {}) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    Stdio stdio{UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)), UniqueFd(ends[1]),
                UniqueFd(open("/dev/null", O_WRONLY | O_CLOEXEC))};
    auto process = sandbox.exec({.argv = {"/bin/sh", "-c", script},
                                 .env = {"PATH=/usr/bin:/bin"},
                                 .cwd = "/workspace",
                                 .limits = limits,
                                 .terminal = false},
                                std::move(stdio));
    EXPECT_TRUE(process.has_value());
    return {std::move(*process), UniqueFd(ends[0])};
  }
  static model::Outcome outcome_of(Started& started) {
    const auto report = started.process->wait();
    EXPECT_TRUE(report.has_value()) << report.error().to_string();
    return model::classify(report->facts);
  }
  std::unique_ptr<Backend> backend_;
};

TEST_F(NativeBackendTest, AProcessRunsAndItsOutputArrives) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  Started started = start(*sandbox, "echo hello; exit 3");
  EXPECT_EQ(outcome_of(started).exit_code, 3);
  EXPECT_EQ(read_all(started.output.get()), "hello\n");
}

TEST_F(NativeBackendTest, TheStartOfAProcessIsSeen) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  const auto before = std::chrono::steady_clock::now();
  Started started = start(*sandbox, "sleep 0.05");
  const auto report = started.process->wait();
  const auto after = std::chrono::steady_clock::now();
  ASSERT_TRUE(report.has_value() && report->started.has_value());
  EXPECT_GE(*report->started, before - std::chrono::microseconds(1));  // the wire has whole ones
  EXPECT_LE(*report->started + report->usage.wall, after);
}

TEST_F(NativeBackendTest, AWorkspaceOutlivesItsSandboxAndNothingElseDoes) {
  for (const std::uint64_t disk_mib : {16, 100}) {
    auto workspace = open_workspace(/*reusable=*/true, disk_mib);
    for (int phase = 0; phase < 3; ++phase) {
      auto sandbox = create_sandbox(*workspace);
      Started started = start(*sandbox,
                              "cat kept 2>/dev/null; echo x >> kept; "
                              "(sleep 100 &) ; test ! -e /proc/40");
      EXPECT_EQ(outcome_of(started).exit_code, 0);
      std::string expected;
      for (int i = 0; i < phase; ++i) expected += "x\n";
      EXPECT_EQ(read_all(started.output.get()), expected) << "phase " << phase;
    }
  }
}

TEST_F(NativeBackendTest, SeveralProcessesRunAtOnceWithLimitsOfTheirOwn) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  model::Limits brief;
  brief.wall_time = std::chrono::milliseconds(200);
  Started slow = start(*sandbox, "sleep 0.6; echo done");
  Started timed_out = start(*sandbox, "sleep 5", brief);
  Started quick = start(*sandbox, "echo quick");
  EXPECT_EQ(outcome_of(quick).kind, model::OutcomeKind::kExited);
  EXPECT_EQ(outcome_of(timed_out).kind, model::OutcomeKind::kWallTimeout);
  EXPECT_EQ(outcome_of(slow).exit_code, 0);
  EXPECT_EQ(read_all(slow.output.get()), "done\n");
}

TEST_F(NativeBackendTest, WhatAProcessLeavesBehindEndsWithItWhileOthersRun) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  Started other = start(*sandbox, "sleep 0.5; set -- /proc/[0-9]*; test $# -gt 0");
  Started leaver = start(*sandbox, "sleep 100 & sleep 100 & exit 0");
  EXPECT_EQ(outcome_of(leaver).exit_code, 0);
  EXPECT_EQ(read_all(leaver.output.get()), "") << "nobody holds the pipe any more";
  EXPECT_EQ(outcome_of(other).exit_code, 0);
}

TEST_F(NativeBackendTest, InputsAreThereBeforeTheProgramStarts) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  ASSERT_TRUE(
      workspace->put_file({"workspace/deep/er/a.txt", memory_file("A"), false}).has_value());
  ASSERT_TRUE(workspace->put_file({"input/b.txt", memory_file("B"), false}).has_value());
  Started started = start(*sandbox, "cat deep/er/a.txt /input/b.txt; : > /input/b.txt");
  EXPECT_NE(outcome_of(started).exit_code, 0) << "/input is read-only";
  EXPECT_EQ(read_all(started.output.get()), "AB");
}

TEST_F(NativeBackendTest, AnInputThatDoesNotFitIsASetupFailure) {
  auto workspace = open_workspace(false, 1);
  auto sandbox = create_sandbox(*workspace);
  ASSERT_TRUE(workspace->put_file({"workspace/big", memory_file(std::string(4u << 20, 'x')), false})
                  .has_value());
  Started started = start(*sandbox, "true");
  const auto report = started.process->wait();
  ASSERT_TRUE(report.has_value() && report->facts.setup_failure.has_value());
  EXPECT_EQ(report->facts.setup_failure->stage, "input");
  EXPECT_EQ(report->facts.setup_failure->os_errno, ENOSPC);
}

TEST_F(NativeBackendTest, AnInputPathThatCouldLeaveIsRefused) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  for (const char* path : {"../x", "/x", "workspace/../../x", ""}) {
    EXPECT_FALSE(workspace->put_file({path, memory_file("x"), false}).has_value()) << path;
  }
}

TEST_F(NativeBackendTest, OutputsAreCollectedAndOddOnesRefusedByName) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  Started started = start(*sandbox,
                          "cd /output; echo one > a; mkdir d; echo two > d/b; ln -s /etc/passwd l; "
                          "mkfifo f; echo x > \"$(printf 'bad\\nname')\"");
  ASSERT_EQ(outcome_of(started).exit_code, 0);
  auto collected = workspace->collect({});
  ASSERT_TRUE(collected.has_value()) << collected.error().to_string();
  ASSERT_EQ(collected->files.size(), 2u);
  EXPECT_EQ(collected->files[0].path, "a");
  EXPECT_EQ(collected->files[1].path, "d/b");
  EXPECT_EQ(read_all(collected->files[1].content.get()), "two\n");
  ASSERT_EQ(collected->refused.size(), 3u);
  EXPECT_EQ(collected->refused[0].path, "bad\\x0aname");
  EXPECT_EQ(collected->refused[1].reason, "fifo");
  EXPECT_EQ(collected->refused[2].reason, "symbolic link");
}

TEST_F(NativeBackendTest, CollectingStopsAtItsLimits) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  Started started =
      start(*sandbox, "cd /output; for i in 1 2 3 4; do head -c 1000 /dev/zero > $i; done");
  ASSERT_EQ(outcome_of(started).exit_code, 0);
  CollectSpec few;
  few.files_max = 2;
  auto collected = workspace->collect(std::move(few));
  ASSERT_TRUE(collected.has_value());
  EXPECT_EQ(collected->files.size(), 2u);
  EXPECT_TRUE(collected->truncated);
  CollectSpec small;
  small.total_bytes_max = base::ByteCount(2'500);
  collected = workspace->collect(std::move(small));
  ASSERT_TRUE(collected.has_value());
  EXPECT_EQ(collected->files.size(), 2u);
}

TEST_F(NativeBackendTest, CollectingWhileAProcessRunsIsRefused) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  Started started = start(*sandbox, "echo up; sleep 5");
  char byte = 0;
  ASSERT_EQ(read(started.output.get(), &byte, 1), 1);
  EXPECT_FALSE(workspace->collect({}).has_value());
}

TEST_F(NativeBackendTest, AProcessThatIsDroppedIsKilled) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  Started dropped = start(*sandbox, "echo up; sleep 100");
  char byte = 0;
  ASSERT_EQ(read(dropped.output.get(), &byte, 1), 1);
  dropped.process.reset();
  EXPECT_EQ(read_all(dropped.output.get()), "p\n") << "the pipe closes: nobody is left";
}

TEST_F(NativeBackendTest, TerminateIsPoliteAndThenIsNot) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  char byte = 0;
  Started polite = start(*sandbox, "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done");
  ASSERT_EQ(read(polite.output.get(), &byte, 1), 1);
  ASSERT_TRUE(
      polite.process->terminate(KillReason::kCancelled, std::chrono::seconds(5)).has_value());
  const model::Outcome first = outcome_of(polite);
  EXPECT_EQ(first.kind, model::OutcomeKind::kCancelled);
  EXPECT_EQ(first.exit_code, 7);
  Started deaf = start(*sandbox, "trap '' TERM; echo up; while :; do sleep 0.01; done");
  ASSERT_EQ(read(deaf.output.get(), &byte, 1), 1);
  ASSERT_TRUE(
      deaf.process->terminate(KillReason::kCancelled, std::chrono::milliseconds(100)).has_value());
  EXPECT_EQ(outcome_of(deaf).signal, SIGKILL);
}

TEST_F(NativeBackendTest, ASignalReachesTheMainProcess) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  Started started = start(*sandbox, "trap 'exit 9' INT; echo up; while :; do sleep 0.01; done");
  char byte = 0;
  ASSERT_EQ(read(started.output.get(), &byte, 1), 1);
  ASSERT_TRUE(started.process->signal(SIGINT).has_value());
  EXPECT_EQ(outcome_of(started).exit_code, 9);
}

TEST_F(NativeBackendTest, ATerminalIsTheSandboxsOwn) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  auto process = sandbox->exec({.argv = {"/bin/sh", "-c", "tty; read line; echo got $line"},
                                .env = {"PATH=/usr/bin:/bin"},
                                .cwd = "/",
                                .limits = {},
                                .terminal = true},
                               {});
  ASSERT_TRUE(process.has_value());
  UniqueFd master;
  while (!master.valid()) {
    pollfd set = {(*process)->event_fd(), POLLIN, 0};
    ASSERT_EQ(poll(&set, 1, 5'000), 1);
    auto terminal = (*process)->try_terminal();
    ASSERT_TRUE(terminal.has_value());
    if (terminal->has_value()) master = std::move(**terminal);
  }
  ASSERT_EQ(write(master.get(), "hi\n", 3), 3);
  const auto report = (*process)->wait();
  ASSERT_TRUE(report.has_value());
  const std::string said = read_all(master.get());
  EXPECT_NE(said.find("/dev/pts/0"), std::string::npos) << said;
  EXPECT_NE(said.find("got hi"), std::string::npos) << said;
}

TEST_F(NativeBackendTest, AnUnknownProfileAndAMissingProgramAreSetupFailures) {
  auto workspace = open_workspace();
  {
    auto sandbox = workspace->create_sandbox({.seccomp_profile = "no-such"});
    ASSERT_TRUE(sandbox.has_value());
    Started started = start(**sandbox, "true");
    EXPECT_EQ(started.process->wait()->facts.setup_failure->stage, "request");
  }
  auto sandbox = create_sandbox(*workspace);
  auto process =
      sandbox->exec({.argv = {"/no/such"}, .env = {}, .cwd = "/", .limits = {}, .terminal = false},
                    {memory_file(""), memory_file(""), memory_file("")});
  ASSERT_TRUE(process.has_value());
  const auto report = (*process)->wait();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->facts.setup_failure->stage, "exec");
  EXPECT_EQ(report->facts.setup_failure->os_errno, ENOENT);
}

TEST_F(NativeBackendTest, AWorkspaceMemoryLimitHoldsOverItsProcesses) {
  auto workspace = backend_->open_workspace({.disk = base::mebibytes(64),
                                             .inodes = 1'000,
                                             .memory = base::mebibytes(32),
                                             .reusable = false});
  ASSERT_TRUE(workspace.has_value());
  auto sandbox = create_sandbox(**workspace);
  Started started = start(*sandbox, "head -c 60000000 /dev/zero > /tmp/fill");
  EXPECT_EQ(outcome_of(started).kind, model::OutcomeKind::kOutOfMemory);
}

TEST_F(NativeBackendTest, ADestroyedSandboxReportsItsProcessesAsCancelled) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  Started started = start(*sandbox, "echo up; sleep 100");
  char byte = 0;
  ASSERT_EQ(read(started.output.get(), &byte, 1), 1);
  sandbox.reset();
  EXPECT_EQ(outcome_of(started).kind, model::OutcomeKind::kCancelled);
}

TEST_F(NativeBackendTest, ALongArgumentListArrivesWhole) {
  auto workspace = open_workspace();
  auto sandbox = create_sandbox(*workspace);
  const std::string word(90'000, 'w');
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd output(ends[0]);
  auto process = sandbox->exec({.argv = {"/bin/sh", "-c", "echo ${#1}", "sh", word},
                                .env = {"PATH=/usr/bin:/bin"},
                                .cwd = "/",
                                .limits = {},
                                .terminal = false},
                               {memory_file(""), UniqueFd(ends[1]), memory_file("")});
  ASSERT_TRUE(process.has_value());
  ASSERT_TRUE((*process)->wait().has_value());
  EXPECT_EQ(read_all(output.get()), "90000\n");
  EXPECT_FALSE(sandbox
                   ->exec({.argv = {std::string(100'000, 'w')},
                           .env = {},
                           .cwd = "/",
                           .limits = {},
                           .terminal = false},
                          {})
                   .has_value());
}

}  // namespace
}  // namespace airlock::backend::native
