// For tests of what sandboxes are given: a launcher with a state directory of its own, and programs
// in sandboxes of it whose output is compared.
//
// One fixture, one thread. What a test leaves behind goes with its scratch directory.
#pragma once

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/native/native_backend.h"
#include "backend/native/test_launcher.h"

namespace airlock::backend::native {

struct Said {
  model::Outcome outcome;
  std::string output;  // stdout and stderr
};

class GrantsFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = (std::filesystem::temp_directory_path() / "airlock-grants-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    scratch_ = path;
    start({});
  }
  void TearDown() override {
    backend_.reset();
    ::unsetenv("AIRLOCK_JAIL_TEST_CRASH");
    ::unsetenv("AIRLOCK_JAIL_TEST_DISABLE");
    std::error_code ignored;
    std::filesystem::remove_all(scratch_, ignored);
  }

  // The one before ends first. `launcher`: a program of the build.
  void start(Options options, const char* launcher = "airlock-jail") {
    backend_.reset();
    options.launcher_path = std::string(launcher) == "airlock-jail"
                                ? test_launcher()
                                : std::string(AIRLOCK_TEST_BIN_DIR) + "/" + launcher;
    options.state_directory = state();
    auto backend = start_backend(options);
    ASSERT_TRUE(backend.has_value()) << backend.error().to_string();
    backend_ = std::move(*backend);
  }

  std::string state() const { return scratch_ + "/state"; }
  std::string layers() const { return state() + "/layers"; }
  static bool is_root() { return ::geteuid() == 0; }

  std::unique_ptr<Workspace> open_workspace(std::uint64_t disk_mib = 16,
                                            std::uint32_t inodes = 1'000) {
    auto workspace = backend_->open_workspace(
        {.disk = base::mebibytes(disk_mib), .inodes = inodes, .memory = {}, .reusable = true});
    EXPECT_TRUE(workspace.has_value());
    return std::move(*workspace);
  }
  std::unique_ptr<Sandbox> create(Workspace& workspace, SandboxSpec spec = {}) {
    auto sandbox = workspace.create_sandbox(std::move(spec));
    EXPECT_TRUE(sandbox.has_value());
    return std::move(*sandbox);
  }

  base::Result<ProcessReport> execute(Sandbox& sandbox, const std::string& script,
                                      std::string* output) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const base::UniqueFd reader(ends[0]);
    base::UniqueFd again(::fcntl(ends[1], F_DUPFD_CLOEXEC, 0));
    Stdio stdio{base::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), base::UniqueFd(ends[1]),
                std::move(again)};
    auto process = sandbox.exec({.argv = {"/bin/sh", "-c", script},
                                 .env = {"PATH=/usr/bin:/bin"},
                                 .cwd = "/",
                                 .limits = {},
                                 .terminal = false},
                                std::move(stdio));
    if (!process) return base::fail(process.error());
    char chunk[4096];
    for (ssize_t count = 0; (count = ::read(reader.get(), chunk, sizeof chunk)) > 0;) {
      output->append(chunk, static_cast<std::size_t>(count));
    }
    return (*process)->wait();
  }
  Said run(Sandbox& sandbox, const std::string& script) {
    Said said;
    const auto report = execute(sandbox, script, &said.output);
    EXPECT_TRUE(report.has_value()) << report.error().to_string();
    if (report) said.outcome = model::classify(report->facts);
    return said;
  }
  // In a workspace that nobody used before.
  Said run_with(SandboxSpec spec, const std::string& script) {
    const auto workspace = open_workspace();
    const auto sandbox = create(*workspace, std::move(spec));
    return run(*sandbox, script);
  }
  // "stage: errno" of a sandbox that cannot be made.
  std::string why_not(SandboxSpec spec) {
    const auto workspace = open_workspace();
    const auto sandbox = create(*workspace, std::move(spec));
    std::string output;
    const auto report = execute(*sandbox, "echo ran", &output);
    if (!report) return report.error().to_string();
    if (!report->facts.setup_failure) return "it ran: " + output;
    return report->facts.setup_failure->stage + ": " +
           std::to_string(report->facts.setup_failure->os_errno);
  }
  base::Result<KeptLayer> build_layer(const std::string& name, const std::string& script,
                                      std::uint64_t disk_mib = 16, std::uint32_t inodes = 1'000) {
    const auto workspace = open_workspace(disk_mib, inodes);
    const auto sandbox = create(*workspace);
    const Said said = run(*sandbox, "cd /build && " + script);
    EXPECT_EQ(said.outcome.exit_code, 0) << said.output;
    return workspace->keep_layer(name);
  }
  // Whatever a directory of layers holds, layers or not.
  std::vector<std::string> in_layers() const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(layers(), error)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  std::string scratch_;
  std::unique_ptr<Backend> backend_;
};

}  // namespace airlock::backend::native
