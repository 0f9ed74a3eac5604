// ChoiceBackend: several backends, of which the first that is available makes each sandbox.
//
// Another one is taken only where one cannot make a sandbox at all, before anything ran in it:
// never because a program failed, never below the isolation that was asked for. It is logged,
// counted, and in the report of every process. A backend that failed is left alone for a while.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/clock.h"

namespace airlock::backend {

// How long a backend that failed is passed over: five times as long as it took to fail, so that one
// that hangs holds up few; within these bounds.
inline constexpr std::chrono::seconds kBackendRest{5};
inline constexpr std::chrono::seconds kBackendRestMax{60};
inline constexpr int kBackendRestFactor = 5;

class ChoiceBackend final : public Backend {
 public:
  struct Candidate {
    std::string name;
    std::unique_ptr<Backend> backend;
    // What it holds against is known beforehand and need not be asked for.
    std::optional<model::IsolationLevel> level;
    // A sandbox of it is asked whether it is there before it is used.
    bool to_be_tried = true;
    bool has_images = false;  // SandboxSpec::image
  };
  // Instead of `from`, `to` made a sandbox.
  using OnFallback = std::function<void(const std::string& from, const std::string& to,
                                        const std::string& reason)>;

  // In the order of preference; at least one. `clock` outlives this.
  ChoiceBackend(std::vector<Candidate> candidates, OnFallback on_fallback,
                const base::Clock& clock);
  ~ChoiceBackend() override;

  base::Result<std::unique_ptr<Workspace>> open_workspace(WorkspaceSpec spec) override;
  base::Result<Adopted> adopt_workspace(const std::string& name) override;
  base::Result<std::vector<std::string>> list_workspaces() override;
  base::Status discard_workspace(const std::string& name) override;
  // The most that is to be had.
  model::IsolationLevel level() override;
  // Of the first that has any.
  base::Result<std::vector<LayerInfo>> list_layers() override;
  base::Result<bool> has_layer(std::string name) override;
  base::Status remove_layer(std::string name) override;
  const DeviceInfo* find_device(std::string_view name) const override;

  std::uint64_t fallbacks() const { return fallbacks_; }

 private:
  class Chosen;
  class ChosenSandbox;
  class ChosenProcess;
  struct Member {
    Candidate candidate;
    std::atomic<std::int64_t> rests_until_ns{0};
    std::string reason;  // why it rests
  };
  // Why an earlier one was not taken; empty if none was passed over.
  struct Fallback {
    std::string from;
    std::string reason;
  };

  model::IsolationLevel level_of(Member& member);
  // What a sandbox asks of a member.
  struct Wanted {
    model::IsolationLevel least = {};
    bool image = false;
  };
  bool will_do(Member& member, const Wanted& wanted);
  // The first from `start` on that does not rest and will do; the number of members if there is
  // none.
  std::size_t find(std::size_t start, const Wanted& wanted);
  void rest(std::size_t index, const std::string& reason,
            std::chrono::steady_clock::time_point tried_since);
  std::string reason_of(std::size_t index);
  // Counts it and, where that is news, tells of it.
  void note(const Fallback& fallback, std::size_t taken, bool is_news);

  std::vector<std::unique_ptr<Member>> members_;
  std::mutex reasons_mutex_;
  const OnFallback on_fallback_;
  const base::Clock& clock_;
  std::atomic<std::uint64_t> fallbacks_ = 0;
};

}  // namespace airlock::backend
