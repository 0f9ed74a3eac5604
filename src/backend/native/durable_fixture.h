// What tests of durable workspaces share: a launcher that can be killed, logs, a fixture.
//
// The launcher is the real one, with a state directory of the test's own, so that it sees none but
// the test's workspaces. Whatever a test leaves is discarded at its end, which has to succeed.
#pragma once

#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backend/native/native_backend.h"
#include "backend/native/test_launcher.h"
#include "jail/log_writer.h"

namespace airlock::backend::native {

using base::UniqueFd;
using std::chrono::milliseconds;

inline constexpr base::ByteCount kRoomy = base::mebibytes(64);

struct Log {
  std::string out;
  std::string err;
  std::string notes;
  std::uint64_t records = 0;
  bool whole = true;    // to its last byte
  bool ordered = true;  // by time
};

inline Log read_log(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Log log;
  std::uint64_t last = 0;
  jail::LogRecord record;
  while (file.read(reinterpret_cast<char*>(&record), sizeof record)) {
    std::string bytes(record.length, '\0');
    if (!file.read(bytes.data(), record.length)) log.whole = false;
    log.ordered &= record.unix_us >= last;
    last = record.unix_us;
    ++log.records;
    (record.stream == 0 ? log.notes : record.stream == 1 ? log.out : log.err) += bytes;
  }
  log.whole &= file.gcount() == 0;
  return log;
}

// An airlock-jail whose caller this is, and which can be killed.
class Launcher {
 public:
  explicit Launcher(const std::string& state, const char* program = "airlock-jail") {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    UniqueFd ours(pair[0]);
    UniqueFd theirs(fcntl(pair[1], F_DUPFD, 10));
    close(pair[1]);
    const std::string path = std::string(program) == "airlock-jail"
                                 ? test_launcher()
                                 : std::string(AIRLOCK_TEST_BIN_DIR) + "/" + program;
    const std::string fd = std::to_string(theirs.get());
    pid_ = fork();
    if (pid_ == 0) {
      execl(path.c_str(), program, "--control-fd", fd.c_str(), "--tell", "--state-dir",
            state.c_str(), nullptr);
      _exit(127);
    }
    theirs.reset();
    auto connected = connect_backend(std::move(ours), "");
    if (connected) backend_ = std::move(*connected);
  }
  ~Launcher() {
    backend_.reset();
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  Backend& operator*() const { return *backend_; }
  Backend* operator->() const { return backend_.get(); }
  pid_t pid() const { return pid_; }
  void kill() {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  std::unique_ptr<Backend> backend_;
};

inline std::vector<std::string> stat_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  std::getline(file, line);
  std::vector<std::string> fields;
  std::istringstream rest(line.substr(std::min(line.size(), line.rfind(')') + 1)));
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

// Who has left the launcher's session is the keeper of a durable workspace.
inline pid_t find_keeper(pid_t launcher) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto fields = stat_of(pid);
    if (fields.size() > 4 && fields[1] == std::to_string(launcher) && fields[3] == pid) {
      return std::stoi(pid);
    }
  }
  return -1;
}

// A `sleep` with that argument, anywhere on the host.
inline bool runs(const std::string& word) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    const std::string line((std::istreambuf_iterator<char>(file)), {});
    if (line.find(word) != std::string::npos && line.find("sleep") == 0) return true;
  }
  return false;
}

inline bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

class DurableFixture : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/durable-test-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    state_ = path;
    start();
  }
  void TearDown() override {
    if (launcher_ == nullptr) start();
    const auto names = (*launcher_)->list_workspaces();
    EXPECT_TRUE(names.has_value());
    for (const std::string& name : *names) {
      EXPECT_TRUE((*launcher_)->discard_workspace(name).has_value()) << name;
    }
    EXPECT_TRUE(names_alive().empty());
    launcher_.reset();
    std::filesystem::remove_all(state_);
  }

  void start(const char* program = "airlock-jail") {
    launcher_ = std::make_unique<Launcher>(state_, program);
  }
  void restart() {
    launcher_.reset();
    start();
  }
  Backend& backend() { return **launcher_; }
  std::vector<std::string> names_alive() { return backend().list_workspaces().value(); }

  std::unique_ptr<Workspace> open(const std::string& name, base::ByteCount memory = {}) {
    auto workspace = backend().open_workspace({.disk = base::mebibytes(16),
                                               .inodes = 1'000,
                                               .memory = memory,
                                               .reusable = false,
                                               .name = name});
    EXPECT_TRUE(workspace.has_value()) << workspace.error().to_string();
    return std::move(*workspace);
  }
  static std::unique_ptr<Sandbox> create_sandbox(Workspace& workspace) {
    return std::move(workspace.create_sandbox({}).value());
  }
  std::string log_path(const std::string& tag) const { return state_ + "/" + tag + ".log"; }
  Log log_of(const std::string& tag) const { return read_log(log_path(tag)); }
  UniqueFd open_log(const std::string& tag) const {
    return UniqueFd(::open(log_path(tag).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  }

  static base::Result<std::unique_ptr<Process>> try_start(Sandbox& sandbox, const std::string& tag,
                                                          const std::string& script, LogFile log,
                                                          model::Limits limits = {}) {
    return sandbox.exec({.argv = {"/bin/sh", "-c", script},
                         .env = {"PATH=/usr/bin:/bin"},
                         .cwd = "/workspace",
                         .limits = limits,
                         .tag = tag,
                         .log = std::move(log)},
                        {});
  }
  std::unique_ptr<Process> start(Sandbox& sandbox, const std::string& tag,
                                 const std::string& script, model::Limits limits = {},
                                 base::ByteCount bytes_max = kRoomy) {
    auto process = try_start(sandbox, tag, script, {open_log(tag), bytes_max}, limits);
    EXPECT_TRUE(process.has_value()) << process.error().to_string();
    return std::move(*process);
  }
  static model::Outcome outcome_of(Process& process) {
    const auto report = process.wait();
    EXPECT_TRUE(report.has_value()) << report.error().to_string();
    return report.has_value() ? model::classify(report->facts) : model::Outcome{};
  }
  Adopted adopt(const std::string& name) {
    auto adopted = backend().adopt_workspace(name);
    EXPECT_TRUE(adopted.has_value()) << adopted.error().to_string();
    return adopted.has_value() ? std::move(*adopted) : Adopted{};
  }
  bool says(const std::string& tag, const std::string& word) const {
    return comes_true([&] { return log_of(tag).out.find(word) != std::string::npos; });
  }
  // Whatever held the workspace is gone, as after a crash of this program.
  void leave_running(const std::string& name, const std::string& tag, const std::string& script,
                     model::Limits limits = {}) {
    auto workspace = open(name);
    auto sandbox = create_sandbox(*workspace);
    auto process = start(*sandbox, tag, script, limits);
    ASSERT_TRUE(says(tag, "up"));
  }

  std::string state_;
  std::unique_ptr<Launcher> launcher_;
};

}  // namespace airlock::backend::native
