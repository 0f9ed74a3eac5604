// FakeBackend: the Backend of the runner's tests. Real child processes, no isolation at all.
//
// Programs run on the host as they are, so that pipes, ptys, exits and signals are real; limits are
// not enforced. Files that are put are remembered, files that are collected are what a test has
// laid out. Only tests may link it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "runner/run_control.h"

namespace airlock::runner {

struct FakeHost {
  void note(std::string call) {
    const std::lock_guard lock(mutex);
    calls.push_back(std::move(call));
  }

  std::mutex mutex;  // for runs at once; a test looks when they have ended
  // What the tests look at.
  std::vector<std::string> calls;  // "open_workspace", "put_file workspace/a", "exec sh", ...
  std::vector<std::string> collect_asked;  // "output **"
  // What the tests lay out.
  std::optional<model::SetupFailure> setup_failure;  // every exec reports it
  std::vector<std::pair<std::string, std::string>> output_files;
  std::vector<model::RefusedOutput> refused;
  std::optional<std::chrono::milliseconds> starts_after;  // ProcessReport::started, from the exec
  bool collect_fails = false;
  bool hold_output_open = false;  // someone keeps the writing ends of stdout and stderr
  bool keeper_dies = false;       // try_report is an error
  bool throws = false;            // create_sandbox does
};

class FakeBackend final : public backend::Backend {
 public:
  explicit FakeBackend(FakeHost& host) : host_(host) {}
  base::Result<std::unique_ptr<backend::Workspace>> open_workspace(
      backend::WorkspaceSpec spec) override;

 private:
  FakeHost& host_;
};

// Events that a test pushes, from any point of the run.
class FakeControl final : public RunControl {
 public:
  FakeControl();
  void push(ControlEvent event);
  int fd() const override { return fd_.get(); }
  ControlEvent take() override;
  void terminal_opened() override { ++terminals_opened; }
  std::optional<WindowSize> window_size() const override { return size; }

  int terminals_opened = 0;
  std::optional<WindowSize> size;

 private:
  base::UniqueFd fd_;
  std::deque<ControlEvent> events_;
};

}  // namespace airlock::runner
