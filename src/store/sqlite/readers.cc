#include "store/sqlite/readers.h"

#include <exception>
#include <utility>

namespace airlock::store::sqlite {

Readers::Readers(std::vector<std::unique_ptr<Database>> databases)
    : databases_(std::move(databases)) {
  threads_.reserve(databases_.size());
  for (const auto& database : databases_) {
    threads_.emplace_back([this, &database] { work(*database); });
  }
}

Readers::~Readers() { finish(); }

void Readers::refuse_more() {
  {
    const std::lock_guard lock(mutex_);
    admission_ = Admission::kClosed;
  }
  came_.notify_all();
}

void Readers::finish() {
  refuse_more();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

base::Status Readers::try_push(Question question) {
  {
    const std::lock_guard lock(mutex_);
    AIRLOCK_TRY(admit(admission_, queued_.size()));
    queued_.push_back(std::move(question));
  }
  came_.notify_one();
  return {};
}

void Readers::work(Database& database) {
  while (true) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return admission_ == Admission::kClosed || !queued_.empty(); });
    if (queued_.empty()) return;
    const Question question = std::move(queued_.front());
    queued_.pop_front();
    lock.unlock();
    try {
      question(database);
    } catch (const std::exception&) {  // Of the caller's own `done`; the next one must be answered.
    }
  }
}

}  // namespace airlock::store::sqlite
