#include "gpu/deadline_worker.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

namespace airlock::gpu {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

std::chrono::steady_clock::time_point in(std::chrono::milliseconds wait) {
  return std::chrono::steady_clock::now() + wait;
}

// What a task waits for.
struct Gate {
  std::mutex mutex;
  std::condition_variable opened;
  bool open = false;

  void wait() {
    std::unique_lock lock(mutex);
    opened.wait(lock, [this] { return open; });
  }
  void let_go() {
    const std::lock_guard lock(mutex);
    open = true;
    opened.notify_all();
  }
};

TEST(DeadlineWorker, DoesOneTaskAfterTheOther) {
  DeadlineWorker worker;
  int sum = 0;
  for (int i = 1; i <= 100; ++i) {
    ASSERT_TRUE(worker.try_begin([&sum, i] { sum += i; }));
    ASSERT_TRUE(worker.wait_until(in(60s)));
  }
  EXPECT_EQ(sum, 5'050);
}

TEST(DeadlineWorker, ATaskThatHangsIsWaitedForUntilTheDeadlineAndTakesNoOther) {
  DeadlineWorker worker;
  const auto gate = std::make_shared<Gate>();
  ASSERT_TRUE(worker.try_begin([gate] { gate->wait(); }));
  EXPECT_FALSE(worker.wait_until(in(20ms)));
  EXPECT_FALSE(worker.try_begin([] {}));
  gate->let_go();
  EXPECT_TRUE(worker.wait_until(in(60s)));
  EXPECT_TRUE(worker.try_begin([] {}));
}

TEST(DeadlineWorker, MayEndWhileItsTaskHangs) {
  const auto gate = std::make_shared<Gate>();
  const auto done = std::make_shared<Gate>();
  {
    DeadlineWorker worker;
    ASSERT_TRUE(worker.try_begin([gate, done] {
      gate->wait();
      done->let_go();
    }));
  }
  gate->let_go();
  done->wait();
}

}  // namespace
}  // namespace airlock::gpu
