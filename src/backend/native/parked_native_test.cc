// ParkedBackend on real sandboxes, and how a dead one is seen. Needs root (or user namespaces).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <thread>

#include "backend/native/native_backend.h"
#include "backend/native/test_launcher.h"
#include "backend/parked_backend.h"

namespace airlock::backend::native {
namespace {

using base::UniqueFd;
using std::chrono::milliseconds;

const WorkspaceSpec kUsual{
    .disk = base::mebibytes(16), .inodes = 1'000, .memory = {}, .reusable = false};

std::unique_ptr<Backend> start_native() {
  auto backend = start_backend({.launcher_path = test_launcher(), .state_directory = {}});
  EXPECT_TRUE(backend.has_value()) << backend.error().to_string();
  return std::move(*backend);
}

bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return false;
}

struct Ran {
  model::Outcome outcome;
  std::string output;
};

// One run, as a service makes it.
base::Result<Ran> try_run(Backend& backend, const std::string& script, const std::string& profile) {
  AIRLOCK_ASSIGN(auto workspace, backend.open_workspace(kUsual));
  AIRLOCK_ASSIGN(auto sandbox, workspace->create_sandbox({.seccomp_profile = profile}));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("cannot make a pipe");
  const UniqueFd output(ends[0]);
  AIRLOCK_ASSIGN(auto process, sandbox->exec({.argv = {"/bin/sh", "-c", script},
                                              .env = {"PATH=/usr/bin:/bin"},
                                              .cwd = "/workspace",
                                              .limits = {},
                                              .last = true},
                                             {UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)),
                                              UniqueFd(ends[1]),
                                              UniqueFd(open("/dev/null", O_WRONLY | O_CLOEXEC))}));
  AIRLOCK_ASSIGN(const auto report, process->wait());
  Ran ran{.outcome = model::classify(report.facts), .output = {}};
  char chunk[4096];
  for (ssize_t count = 0; (count = read(output.get(), chunk, sizeof chunk)) > 0;) {
    ran.output.append(chunk, static_cast<std::size_t>(count));
  }
  return ran;
}

Ran run(Backend& backend, const std::string& script, const std::string& profile = "default") {
  auto ran = try_run(backend, script, profile);
  EXPECT_TRUE(ran.has_value()) << ran.error().to_string();
  return ran ? std::move(*ran) : Ran{};
}

struct ProcessEntry {
  pid_t parent = 0;
  std::string name;
};

std::map<pid_t, ProcessEntry> list_processes() {
  std::map<pid_t, ProcessEntry> list;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string number = entry.path().filename();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    // Not a stream: reading of one that has ended meanwhile would throw.
    const base::UniqueFd file(open((entry.path() / "stat").c_str(), O_RDONLY | O_CLOEXEC));
    char bytes[1024];
    const ssize_t count = file.valid() ? read(file.get(), bytes, sizeof bytes) : -1;
    if (count <= 0) continue;
    const std::string text(bytes, static_cast<std::size_t>(count));
    const auto first = text.find('(');
    const auto close = text.rfind(')');
    if (close == std::string::npos || close + 4 >= text.size()) continue;
    if (text[close + 2] == 'Z') continue;  // nobody has reaped it yet
    list[std::stoi(number)] = {.parent = std::stoi(text.substr(close + 4)),
                               .name = text.substr(first + 1, close - first - 1)};
  }
  return list;
}

// Inits of the sandboxes below this process, each with its keeper.
std::map<pid_t, pid_t> find_inits() {
  const auto list = list_processes();
  std::map<pid_t, pid_t> inits;
  for (const auto& [pid, entry] : list) {
    const auto keeper = list.find(entry.parent);
    if (entry.name != "airlock-init" || keeper == list.end()) continue;
    const auto launcher = list.find(keeper->second.parent);
    if (launcher == list.end() || launcher->second.parent != getpid()) continue;
    inits[pid] = entry.parent;
  }
  return inits;
}

class ParkedNativeTest : public testing::Test {
 protected:
  // What outlives its parent would become a child of ours.
  ParkedNativeTest() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

  void park(std::uint32_t count) {
    backend_.emplace(start_native(),
                     ParkedOptions{.workspace = kUsual, .parked_min = count, .parked_max = count},
                     clock_);
    EXPECT_TRUE(comes_true([&] { return backend_->stats().parked == count; }));
  }
  static bool has_children() { return waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

  base::SystemClock clock_;
  std::optional<ParkedBackend> backend_;
};

// What waits ahead must not be kept where it was put to wait.
TEST(ParkedNative, AProgramMayUseEveryProcessor) {
  const auto native = start_native();
  cpu_set_t ours;
  ASSERT_EQ(sched_getaffinity(0, sizeof ours, &ours), 0);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(run(*native, "nproc").output, std::to_string(CPU_COUNT(&ours)) + "\n");
  }
}

TEST(ParkedNative, AProgramStartsWithNoSignalIgnored) {
  const auto before = signal(SIGUSR1, SIG_IGN);
  const auto native = start_native();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(run(*native, "grep -E 'Sig(Ign|Blk)' /proc/self/status").output,
              "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  }
  signal(SIGUSR1, before);
}

TEST_F(ParkedNativeTest, AParkedSandboxServesARunAndTheNextSeesNothingOfIt) {
  park(2);
  for (int i = 0; i < 6; ++i) {
    const Ran ran = run(*backend_,
                        "ls -A /workspace /tmp /output /dev/shm | grep -v '^/\\|^$'; "
                        "for d in /workspace /tmp /output /dev/shm; do echo x > $d/kept; done");
    EXPECT_EQ(ran.outcome.exit_code, 0) << ran.outcome.detail;
    EXPECT_EQ(ran.output, "");
    EXPECT_TRUE(comes_true([&] { return backend_->stats().parked == 2; }));
  }
  EXPECT_EQ(backend_->stats().hits, 6u);
}

TEST_F(ParkedNativeTest, AnotherProfileHasASandboxOfItsOwn) {
  park(2);
  const Ran ran = run(*backend_, "echo hi", "gpu");
  EXPECT_EQ(ran.outcome.exit_code, 0) << ran.outcome.detail;
  EXPECT_EQ(ran.output, "hi\n");
  EXPECT_EQ(backend_->stats().remade, 1u);
}

TEST_F(ParkedNativeTest, ManyThreadsRunAtOnceAndNothingIsLeft) {
  park(4);
  std::atomic<int> succeeded = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([this, &succeeded] {
        for (int n = 0; n < 50; ++n) {
          const Ran ran = run(*backend_, "echo $$");
          // In a container link and init have the first two numbers.
          const bool is_first = is_native() ? ran.output == "2\n" : !ran.output.empty();
          if (ran.outcome.exit_code == 0 && is_first) ++succeeded;
        }
      });
    }
  }
  EXPECT_EQ(succeeded, 200);
  const ParkedStats stats = backend_->stats();
  EXPECT_EQ(stats.hits + stats.misses, 200u);
  EXPECT_EQ(stats.alive, 0u);
  backend_.reset();
  EXPECT_TRUE(comes_true([] { return !has_children(); }));
}

TEST_F(ParkedNativeTest, ADeadInitAndADeadKeeperAreSeen) {
  const auto backend = start_native();
  for (const bool kill_keeper : {false, true}) {
    auto workspace = backend->open_workspace(kUsual);
    ASSERT_TRUE(workspace.has_value());
    auto sandbox = (*workspace)->create_sandbox({});
    ASSERT_TRUE(sandbox.has_value());
    EXPECT_TRUE((*workspace)->is_alive());
    // The launcher's spare has one, too.
    ASSERT_TRUE(comes_true([] { return find_inits().size() == 2; }));
    EXPECT_TRUE((*workspace)->is_alive());
    for (const auto& [init, keeper] : find_inits()) kill(kill_keeper ? keeper : init, SIGKILL);
    EXPECT_TRUE(comes_true([&] { return !(*workspace)->is_alive(); }));
    // A spare that is just about to die would be taken for the next one.
    EXPECT_TRUE(comes_true([] { return find_inits().empty(); }));
  }
}

TEST_F(ParkedNativeTest, ADeadOneIsNotGivenOut) {
  park(2);
  ASSERT_TRUE(comes_true([] { return find_inits().size() == 3; }));
  for (const auto& [init, keeper] : find_inits()) kill(keeper, SIGKILL);
  ASSERT_TRUE(comes_true([] { return find_inits().empty(); }));
  const Ran ran = run(*backend_, "echo hi");
  EXPECT_EQ(ran.outcome.exit_code, 0) << ran.outcome.detail;
  EXPECT_EQ(backend_->stats().dead, 2u);
}

}  // namespace
}  // namespace airlock::backend::native
