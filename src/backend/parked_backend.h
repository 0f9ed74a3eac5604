// ParkedBackend: keeps sandboxes of the usual kind ready, so that a run only brings its program.
//
// A decorator of another Backend. open_workspace() gives out a parked workspace if one of an equal
// spec is there, and its create_sandbox() the sandbox that was made with it; anything else is made
// by the other backend as it comes. Nothing is ever given out twice. A thread of its own refills
// and destroys: it fills up while no run is alive, or once fewer than half are left, so that it
// does not compete with runs, and never makes more at once than half of the processors can. How
// many it keeps follows the most that were alive at once lately.
//
// The destructor of a workspace that was given out does not wait for its end: that thread does,
// before it makes another one. The end of a sandbox is asked for at once, as ever.
// open_workspace() and stats() may be called by several threads; this outlives what it gave out.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "base/clock.h"

namespace airlock::backend {

struct ParkedOptions {
  WorkspaceSpec workspace = {};  // the usual one; not reusable
  SandboxSpec sandbox = {};
  std::uint32_t parked_min = 4;   // kept even if nobody asks for any
  std::uint32_t parked_max = 32;  // at least parked_min
  // One that is too many is given back in each tick; demand is remembered for kDemandTicks of them.
  // After a failure nothing is made for one tick.
  std::chrono::milliseconds tick{1'000};
};

inline constexpr std::size_t kDemandTicks = 10;

struct ParkedStats {
  std::uint64_t hits = 0;        // workspaces given out of the parked ones
  std::uint64_t misses = 0;      // those that had to be made, for whatever reason
  std::uint64_t remade = 0;      // hits that needed another profile, and so another sandbox
  std::uint64_t dead = 0;        // found dead, and not given out
  std::uint64_t given_back = 0;  // too many for too long
  std::uint32_t parked = 0;      // now
  std::uint32_t target = 0;      // how many should be parked now
  std::uint32_t alive = 0;       // given out and not destroyed yet
  std::uint32_t ending = 0;      // waiting for their destruction
  // What the thread has done so far, one sandbox after another, and whether it is about to do more.
  // Each takes milliseconds: a number that stands still meanwhile is that of a backend that hangs.
  std::uint64_t steps = 0;
  bool at_work = false;
};

class ParkedBackend final : public Backend {
 public:
  // `clock` outlives this. Begins to fill at once.
  ParkedBackend(std::unique_ptr<Backend> backend, ParkedOptions options, const base::Clock& clock);
  // Everything that was given out has been destroyed before; blocks until nothing is left.
  ~ParkedBackend() override;

  base::Result<std::unique_ptr<Workspace>> open_workspace(WorkspaceSpec spec) override;
  // Durable workspaces are the other backend's.
  base::Result<Adopted> adopt_workspace(const std::string& name) override {
    return backend_->adopt_workspace(name);
  }
  base::Result<std::vector<std::string>> list_workspaces() override {
    return backend_->list_workspaces();
  }
  base::Status discard_workspace(const std::string& name) override {
    return backend_->discard_workspace(name);
  }
  model::IsolationLevel level() override { return backend_->level(); }
  base::Result<std::vector<LayerInfo>> list_layers() override { return backend_->list_layers(); }
  base::Result<bool> has_layer(std::string name) override { return backend_->has_layer(name); }
  base::Status remove_layer(std::string name) override { return backend_->remove_layer(name); }
  const DeviceInfo* find_device(std::string_view name) const override {
    return backend_->find_device(name);
  }
  ParkedStats stats() const;
  // For what is never parked: durable workspaces.
  Backend& other() { return *backend_; }

 private:
  class Taken;
  // The sandbox is destroyed first.
  struct Parked {
    std::unique_ptr<Workspace> workspace;
    std::unique_ptr<Sandbox> sandbox;
  };
  struct Demand {
    std::int64_t tick = -1;
    std::uint32_t peak = 0;
  };

  Parked take_parked(const WorkspaceSpec& spec);
  void retire(std::unique_ptr<Workspace> workspace);
  void count_remade();

  void work(const std::stop_token& stop);
  bool work_is_due();
  void end_those(std::vector<std::unique_ptr<Workspace>> workspaces);
  void refill(std::unique_lock<std::mutex>& lock);
  base::Result<Parked> request_one();
  std::vector<Parked> make_parked(std::size_t count);
  bool wants_more();
  Parked find_surplus();
  std::int64_t current_tick() const;
  Demand& demand_now();
  std::uint32_t target() const;

  const std::unique_ptr<Backend> backend_;
  const ParkedOptions options_;
  const base::Clock& clock_;
  const std::size_t batch_;  // at most so many are in the making
  mutable std::mutex mutex_;
  std::condition_variable_any work_is_there_;
  std::deque<Parked> parked_;  // the oldest, which is surely settled, goes first
  std::vector<std::unique_ptr<Workspace>> ending_;
  std::array<Demand, kDemandTicks> demand_;
  ParkedStats counts_;
  std::atomic<std::uint64_t> steps_ = 0;
  std::atomic<bool> at_work_ = false;
  bool filling_ = false;  // fewer than half were left: until the target is reached
  std::int64_t not_before_tick_ = 0;
  std::int64_t gave_back_tick_ = 0;
  std::jthread worker_;  // ends before everything above
};

}  // namespace airlock::backend
