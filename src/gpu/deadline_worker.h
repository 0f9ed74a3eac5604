// DeadlineWorker: a thread for calls that may never return.
//
// One task at a time. Whoever waits for it waits until a deadline and then goes on without: the
// task keeps the thread, and what the task uses must belong to the task (shared_ptr), because it
// may go on after everybody has left. The destructor joins an idle thread and leaves a busy one
// behind, which ends when its task does. Used by one thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

namespace airlock::gpu {

class DeadlineWorker {
 public:
  DeadlineWorker();
  ~DeadlineWorker();
  DeadlineWorker(const DeadlineWorker&) = delete;
  DeadlineWorker& operator=(const DeadlineWorker&) = delete;

  // False, and nothing is begun, while an earlier task still runs.
  bool try_begin(std::function<void()> task);
  // True if no task runs any more: then all that the last one did is visible.
  bool wait_until(std::chrono::steady_clock::time_point deadline);

 private:
  struct Shared;
  static void work(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace airlock::gpu
