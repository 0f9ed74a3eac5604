#include "store/sqlite/readers.h"

#include <exception>
#include <utility>

#include "store/sqlite/writer.h"

namespace airlock::store::sqlite {

Readers::Readers(std::vector<std::unique_ptr<Database>> databases)
    : databases_(std::move(databases)) {
  threads_.reserve(databases_.size());
  for (const auto& database : databases_) {
    threads_.emplace_back([this, &database] { work(*database); });
  }
}

Readers::~Readers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  came_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Readers::try_push(Question question) {
  {
    const std::lock_guard lock(mutex_);
    if (queued_.size() >= kQueuedMax) return false;
    queued_.push_back(std::move(question));
  }
  came_.notify_one();
  return true;
}

void Readers::work(Database& database) {
  while (true) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return stopping_ || !queued_.empty(); });
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
