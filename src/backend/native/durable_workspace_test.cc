// Workspaces that outlive their callers, on the real launcher. Needs root (or user namespaces).
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <future>

#include "backend/native/durable_fixture.h"
#include "jail/durable_keepers.h"

namespace airlock::backend::native {
namespace {

using base::UniqueFd;
using model::KillReason;
using model::OutcomeKind;

class DurableWorkspaceTest : public DurableFixture {};

TEST_F(DurableWorkspaceTest, ARunningProcessOutlivesCallerAndLauncherAndIsAdopted) {
  leave_running("job_1", "build", "echo up; sleep 1; echo done; exit 7");
  restart();
  EXPECT_EQ(names_alive(), std::vector<std::string>{"job_1"});
  Adopted adopted = adopt("job_1");
  ASSERT_NE(adopted.sandbox, nullptr);
  ASSERT_EQ(adopted.processes.size(), 1u);
  EXPECT_EQ(adopted.processes[0].tag, "build");
  EXPECT_FALSE(adopted.processes[0].process->try_report().value().has_value()) << "it runs";
  EXPECT_EQ(outcome_of(*adopted.processes[0].process).exit_code, 7);
  EXPECT_EQ(log_of("build").out, "up\ndone\n");
}

TEST_F(DurableWorkspaceTest, AKilledLauncherTakesNothingWithIt) {
  leave_running("job_1", "build", "echo up; sleep 1; echo done; exit 7");
  launcher_->kill();
  restart();
  Adopted adopted = adopt("job_1");
  ASSERT_EQ(adopted.processes.size(), 1u);
  EXPECT_EQ(outcome_of(*adopted.processes[0].process).exit_code, 7);
  EXPECT_EQ(log_of("build").out, "up\ndone\n");
}

TEST_F(DurableWorkspaceTest, AReportIsKeptUntilItIsForgotten) {
  leave_running("job_1", "clone", "echo up; exit 4");
  for (int again = 0; again < 2; ++again) {
    restart();
    Adopted adopted = adopt("job_1");
    ASSERT_EQ(adopted.processes.size(), 1u);
    const auto report = adopted.processes[0].process->wait();
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(model::classify(report->facts).exit_code, 4);
    EXPECT_EQ(report->log->written.count(), 3u);
    EXPECT_EQ(report->isolation.seccomp, "default");
    if (again == 1) { EXPECT_TRUE(adopted.workspace->forget("clone").has_value()); }
  }
  EXPECT_TRUE(adopt("job_1").processes.empty());
}

TEST_F(DurableWorkspaceTest, AnAdoptedProcessCanBeKilled) {
  leave_running("job_1", "run", "echo up; sleep 100");
  restart();
  Adopted adopted = adopt("job_1");
  ASSERT_EQ(adopted.processes.size(), 1u);
  ASSERT_TRUE(adopted.processes[0].process->kill(KillReason::kCancelled).has_value());
  EXPECT_EQ(outcome_of(*adopted.processes[0].process).kind, OutcomeKind::kCancelled);
}

TEST_F(DurableWorkspaceTest, LimitsHoldWithoutACaller) {
  model::Limits limits;
  limits.wall_time = milliseconds(400);
  leave_running("wall", "wall", "echo up; sleep 100", limits);
  limits = {};
  limits.cpu_time = milliseconds(300);
  leave_running("cpu", "cpu", "echo up; while :; do :; done", limits);
  limits = {};
  limits.memory = base::mebibytes(32);
  leave_running("memory", "memory",
                "echo up; sleep 0.3; head -c 100000000 /dev/zero | tail -c 100000000 > /dev/null",
                limits);
  launcher_.reset();
  std::this_thread::sleep_for(milliseconds(1'500));
  start();
  const std::pair<const char*, OutcomeKind> expected[] = {{"wall", OutcomeKind::kWallTimeout},
                                                          {"cpu", OutcomeKind::kCpuTimeout},
                                                          {"memory", OutcomeKind::kOutOfMemory}};
  for (const auto& [name, kind] : expected) {
    Adopted adopted = adopt(name);
    ASSERT_EQ(adopted.processes.size(), 1u);
    // On an emulated machine taking the memory lasts longer than nobody was there.
    const auto report = adopted.processes[0].process->wait();
    ASSERT_TRUE(report.has_value()) << name;
    EXPECT_EQ(model::classify(report->facts).kind, kind) << name;
    if (kind == OutcomeKind::kWallTimeout) {
      EXPECT_LT(report->usage.wall, milliseconds(1'400)) << "it ended before anybody came";
    }
  }
}

TEST_F(DurableWorkspaceTest, PhasesShareFilesAndNothingElse) {
  auto workspace = open("phases");
  auto first = create_sandbox(*workspace);
  auto process = start(*first, "build", "echo made > kept; (sleep 100 &); exit 0");
  EXPECT_EQ(outcome_of(*process).exit_code, 0);
  ASSERT_TRUE(first->end().has_value());
  restart();
  Adopted adopted = adopt("phases");
  EXPECT_EQ(adopted.sandbox, nullptr) << "it was ended";
  ASSERT_EQ(adopted.processes.size(), 1u);
  auto second = create_sandbox(*adopted.workspace);
  process =
      start(*second, "inference", "cat kept; cp kept /output; set -- /proc/[0-9]*; test $# -gt 0");
  EXPECT_EQ(outcome_of(*process).exit_code, 0);
  EXPECT_EQ(log_of("inference").out.substr(0, 5), "made\n");
  const auto collected = adopted.workspace->collect({});
  ASSERT_TRUE(collected.has_value()) << collected.error().to_string();
  ASSERT_EQ(collected->files.size(), 1u);
  EXPECT_EQ(collected->files[0].path, "kept");
}

TEST_F(DurableWorkspaceTest, ANewSandboxEndsTheOneThatItsCallerDoesNotKnowOf) {
  leave_running("job_1", "run", "echo up; sleep 4321");
  restart();
  Adopted adopted = adopt("job_1");
  auto sandbox = create_sandbox(*adopted.workspace);
  auto process = start(*sandbox, "again", "echo up");
  EXPECT_EQ(outcome_of(*process).exit_code, 0);
  EXPECT_EQ(outcome_of(*adopted.processes[0].process).kind, OutcomeKind::kCancelled);
  EXPECT_FALSE(runs("4321"));
}

TEST_F(DurableWorkspaceTest, AProcessWithoutATagEndsWithItsCaller) {
  {
    auto workspace = open("mixed");
    auto sandbox = create_sandbox(*workspace);
    auto tagged = start(*sandbox, "run", "echo up; sleep 100");
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd output(ends[0]);
    auto untagged = sandbox->exec({.argv = {"/bin/sh", "-c", "echo up; sleep 4322"},
                                   .env = {"PATH=/usr/bin:/bin"},
                                   .limits = {}},
                                  {UniqueFd(::open("/dev/null", O_RDONLY)), UniqueFd(ends[1]),
                                   UniqueFd(::open("/dev/null", O_WRONLY))});
    ASSERT_TRUE(untagged.has_value());
    char byte = 0;
    ASSERT_EQ(read(output.get(), &byte, 1), 1);
    ASSERT_TRUE(says("run", "up"));
  }
  EXPECT_TRUE(comes_true([] { return !runs("4322"); }));
  Adopted adopted = adopt("mixed");
  ASSERT_EQ(adopted.processes.size(), 1u);
  EXPECT_FALSE(adopted.processes[0].process->try_report().value().has_value()) << "it runs";
}

TEST_F(DurableWorkspaceTest, ANameThatLivesIsNotGivenTwice) {
  auto workspace = open("taken");
  const auto again = backend().open_workspace(
      {.disk = base::mebibytes(16), .inodes = 1'000, .memory = {}, .name = "taken"});
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, base::ErrorCode::kBusy);
  ASSERT_TRUE(workspace->end().has_value());
  EXPECT_TRUE(open("taken")->end().has_value());
}

TEST_F(DurableWorkspaceTest, WhatIsNoNameIsRefusedForWhatever) {
  for (const std::string& name :
       {std::string("../x"), std::string("/etc/passwd"), std::string("a/b"), std::string("A"),
        std::string("a.b"), std::string("a\0b", 3), std::string("ü"), std::string(65, 'a'),
        std::string(5'000, 'a'), std::string(" ")}) {
    const auto opened = backend().open_workspace(
        {.disk = base::mebibytes(16), .inodes = 1'000, .memory = {}, .name = name});
    ASSERT_FALSE(opened.has_value()) << name;
    EXPECT_EQ(opened.error().code, base::ErrorCode::kInvalidArgument) << name;
    EXPECT_EQ(backend().adopt_workspace(name).error().code, base::ErrorCode::kInvalidArgument);
    EXPECT_EQ(backend().discard_workspace(name).error().code, base::ErrorCode::kInvalidArgument);
  }
  EXPECT_TRUE(open(std::string(64, 'z'))->end().has_value());
}

TEST_F(DurableWorkspaceTest, WhereNobodyListensNothingIsFound) {
  EXPECT_EQ(backend().adopt_workspace("nobody").error().code, base::ErrorCode::kNotFound);
  EXPECT_EQ(backend().discard_workspace("nobody").error().code, base::ErrorCode::kNotFound);
}

TEST_F(DurableWorkspaceTest, ASecondAdopterTakesOverFromTheFirst) {
  leave_running("job_1", "run", "echo up; sleep 1; exit 6");
  Adopted first = adopt("job_1");
  Adopted second = adopt("job_1");
  ASSERT_EQ(first.processes.size(), 1u);
  ASSERT_EQ(second.processes.size(), 1u);
  EXPECT_FALSE(first.processes[0].process->wait().has_value());
  EXPECT_FALSE(first.workspace->collect({}).has_value());
  EXPECT_EQ(outcome_of(*second.processes[0].process).exit_code, 6);
}

TEST_F(DurableWorkspaceTest, ADiscardedWorkspaceIsGoneWithAllThatRan) {
  leave_running("job_1", "run", "echo up; trap '' TERM; sleep 4323");
  ASSERT_TRUE(backend().discard_workspace("job_1").has_value());
  EXPECT_FALSE(runs("4323"));
  EXPECT_TRUE(names_alive().empty());
  EXPECT_EQ(backend().adopt_workspace("job_1").error().code, base::ErrorCode::kNotFound);
  EXPECT_TRUE(open("job_1")->end().has_value()) << "the name is free";
}

TEST_F(DurableWorkspaceTest, AKeeperThatHangsIsDiscardedLikeAnyOther) {
  leave_running("job_1", "run", "echo up; sleep 4324");
  const pid_t keeper = find_keeper(launcher_->pid());
  ASSERT_GT(keeper, 0);
  kill(keeper, SIGSTOP);
  ASSERT_TRUE(backend().discard_workspace("job_1").has_value());
  EXPECT_FALSE(runs("4324"));
}

TEST_F(DurableWorkspaceTest, AKilledKeeperLeavesNothingToAdopt) {
  leave_running("job_1", "run", "echo up; sleep 4325");
  const pid_t keeper = find_keeper(launcher_->pid());
  ASSERT_GT(keeper, 0);
  launcher_->kill();
  start();  // the keeper is no child of this one
  const UniqueFd end(static_cast<int>(syscall(SYS_pidfd_open, keeper, 0)));
  ASSERT_TRUE(end.valid());
  kill(keeper, SIGKILL);
  pollfd ended = {end.get(), POLLIN, 0};
  ASSERT_EQ(poll(&ended, 1, 10'000), 1);
  EXPECT_TRUE(comes_true([] { return !runs("4325"); }));
  EXPECT_EQ(backend().adopt_workspace("job_1").error().code, base::ErrorCode::kNotFound);
  EXPECT_TRUE(names_alive().empty());
}

TEST_F(DurableWorkspaceTest, ASweepLeavesThoseThatLiveAlone) {
  leave_running("job_1", "run", "echo up; sleep 2; exit 8");
  for (int i = 0; i < 3; ++i) {
    Launcher other(state_);  // sweeps
    auto workspace =
        other->open_workspace({.disk = base::mebibytes(16), .inodes = 100, .memory = {}});
    ASSERT_TRUE(workspace.has_value());
    EXPECT_EQ(other->list_workspaces().value(), std::vector<std::string>{"job_1"});
  }
  Adopted adopted = adopt("job_1");
  ASSERT_EQ(adopted.processes.size(), 1u);
  EXPECT_EQ(outcome_of(*adopted.processes[0].process).exit_code, 8);
}

TEST_F(DurableWorkspaceTest, AnotherStateDirectoryHasNamesOfItsOwn) {
  auto workspace = open("job_1");
  const std::string other_state = state_ + "/other";
  Launcher other(other_state);
  EXPECT_TRUE(other->list_workspaces().value().empty());
  EXPECT_EQ(other->adopt_workspace("job_1").error().code, base::ErrorCode::kNotFound);
  auto same_name = other->open_workspace(
      {.disk = base::mebibytes(16), .inodes = 100, .memory = {}, .name = "job_1"});
  ASSERT_TRUE(same_name.has_value());
  EXPECT_TRUE((*same_name)->end().has_value());
  EXPECT_EQ(names_alive(), std::vector<std::string>{"job_1"});
}

TEST_F(DurableWorkspaceTest, AnOrphanEndsWhenNothingRunsAndNobodyComes) {
  setenv("AIRLOCK_JAIL_TEST_ORPHAN_MS", "400", 1);
  launcher_.reset();
  start("airlock-jail-testhooks");
  unsetenv("AIRLOCK_JAIL_TEST_ORPHAN_MS");
  leave_running("job_1", "run", "echo up; sleep 1");
  std::this_thread::sleep_for(milliseconds(700));
  EXPECT_EQ(names_alive().size(), 1u) << "it runs";
  EXPECT_TRUE(comes_true([&] { return names_alive().empty(); }));
}

TEST_F(DurableWorkspaceTest, TheMemoryLimitOfAWorkspaceHoldsOverItsPhases) {
  auto workspace = open("memory", base::mebibytes(48));
  model::Limits limits;
  limits.memory = base::mebibytes(512);
  limits.cpu_rate_percent = 80;
  auto sandbox = create_sandbox(*workspace);
  auto process = start(*sandbox, "one", "head -c 10000000 /dev/zero > /tmp/kept", limits);
  EXPECT_EQ(outcome_of(*process).exit_code, 0);
  ASSERT_TRUE(sandbox->end().has_value());
  sandbox = create_sandbox(*workspace);
  process =
      start(*sandbox, "two", "head -c 30000000 /dev/zero | tail -c 30000000 > /dev/null", limits);
  EXPECT_EQ(outcome_of(*process).exit_code, 0) << "it fits beside the files of the first";
  ASSERT_TRUE(sandbox->end().has_value());
  sandbox = create_sandbox(*workspace);
  process =
      start(*sandbox, "three", "head -c 47000000 /dev/zero | tail -c 47000000 > /dev/null", limits);
  EXPECT_EQ(outcome_of(*process).kind, OutcomeKind::kOutOfMemory);
}

TEST_F(DurableWorkspaceTest, TheNumberOfDurableWorkspacesIsBounded) {
  std::vector<std::unique_ptr<Workspace>> held;
  for (std::size_t i = 0; i < jail::kDurableMax; ++i) held.push_back(open("w" + std::to_string(i)));
  const auto more = backend().open_workspace(
      {.disk = base::mebibytes(16), .inodes = 100, .memory = {}, .name = "more"});
  ASSERT_FALSE(more.has_value());
  EXPECT_EQ(more.error().code, base::ErrorCode::kLimitExceeded);
  EXPECT_EQ(names_alive().size(), jail::kDurableMax);
  for (const auto& workspace : held) EXPECT_TRUE(workspace->end().has_value());
}

// More than the launcher has children for at a time.
TEST_F(DurableWorkspaceTest, ManyAreDiscardedAtOnce) {
  constexpr int kCount = 24;
  std::vector<std::unique_ptr<Workspace>> held;
  for (int i = 0; i < kCount; ++i) held.push_back(open("w" + std::to_string(i)));
  std::vector<std::future<base::Status>> discarded;
  for (int i = 0; i < kCount; ++i) {
    discarded.push_back(std::async(std::launch::async, [this, i] {
      return backend().discard_workspace("w" + std::to_string(i));
    }));
  }
  for (auto& done : discarded) EXPECT_TRUE(done.get().has_value());
  EXPECT_TRUE(names_alive().empty());
}

}  // namespace
}  // namespace airlock::backend::native
