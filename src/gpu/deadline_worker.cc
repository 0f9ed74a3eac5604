#include "gpu/deadline_worker.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace airlock::gpu {

struct DeadlineWorker::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void()> task;
  bool busy = false;
  bool ending = false;
};

DeadlineWorker::DeadlineWorker() : shared_(std::make_shared<Shared>()) {
  thread_ = std::thread([shared = shared_] { work(shared); });
}

DeadlineWorker::~DeadlineWorker() {
  bool busy = false;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->ending = true;
    busy = shared_->busy;
    shared_->changed.notify_all();
  }
  if (busy) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void DeadlineWorker::work(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  while (true) {
    shared->changed.wait(lock, [&] { return shared->busy || shared->ending; });
    if (!shared->busy) return;
    std::function<void()> task = std::exchange(shared->task, nullptr);
    lock.unlock();
    task();
    task = nullptr;  // what it holds is gone before anybody hears that it has ended
    lock.lock();
    shared->busy = false;
    shared->changed.notify_all();
  }
}

bool DeadlineWorker::try_begin(std::function<void()> task) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->busy) return false;
  shared_->task = std::move(task);
  shared_->busy = true;
  shared_->changed.notify_all();
  return true;
}

bool DeadlineWorker::wait_until(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(shared_->mutex);
  return shared_->changed.wait_until(lock, deadline, [&] { return !shared_->busy; });
}

}  // namespace airlock::gpu
