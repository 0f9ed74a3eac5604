#include "gpu/pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "base/clock.h"
#include "gpu/fake_source.h"

namespace airlock::gpu {
namespace {

std::set<std::string> uuids_of(const std::vector<model::AssignedGpu>& gpus) {
  std::set<std::string> uuids;
  for (const model::AssignedGpu& gpu : gpus) uuids.insert(gpu.uuid);
  return uuids;
}

class PoolTest : public testing::Test {
 protected:
  GpuStatus status(std::uint32_t index) {
    for (GpuStatus& gpu : pool_.snapshot()) {
      if (gpu.reading.uuid == uuid_of(index)) return gpu;
    }
    ADD_FAILURE() << "no GPU " << index;
    return {};
  }
  std::uint32_t free() { return pool_.free_count("H200"); }

  FakeSource source_{8, FakeSource::Links::kQuads};
  base::ManualClock clock_;
  Pool pool_{source_, {}, clock_};
};

TEST_F(PoolTest, NothingIsFreeBeforeSomebodyHasLooked) {
  EXPECT_EQ(free(), 0u);
  EXPECT_FALSE(pool_.lease(1, "H200", "job"));
  EXPECT_FALSE(pool_.unavailable().empty());
}

TEST_F(PoolTest, IdleGpusAreFreeAtOnce) {
  pool_.refresh();
  EXPECT_EQ(free(), 8u);
  EXPECT_TRUE(pool_.unavailable().empty());
}

TEST_F(PoolTest, AHostWithoutGpusIsAnInventoryWithAReason) {
  source_.host = {
      .unavailable = "no NVIDIA driver was found", .driver = {}, .gpus = {}, .xids = {}};
  pool_.refresh();
  EXPECT_TRUE(pool_.snapshot().empty());
  EXPECT_EQ(pool_.unavailable(), "no NVIDIA driver was found");
  const auto leased = pool_.lease(1, "H200", "job");
  ASSERT_FALSE(leased);
  EXPECT_NE(leased.error().message.find("no NVIDIA driver was found"), std::string::npos);
  EXPECT_TRUE(pool_.lease(0, "H200", "job"));
}

TEST_F(PoolTest, ALeaseIsExclusiveAndAllOrNothing) {
  pool_.refresh();
  const auto one = pool_.lease(4, "H200", "one");
  const auto two = pool_.lease(2, "H200", "two");
  ASSERT_TRUE(one && two);
  EXPECT_EQ(uuids_of(*one), std::set({uuid_of(0), uuid_of(1), uuid_of(2), uuid_of(3)}));
  EXPECT_EQ(uuids_of(*two), std::set({uuid_of(4), uuid_of(5)}));
  EXPECT_FALSE(pool_.lease(4, "H200", "three"));
  EXPECT_EQ(free(), 2u);
  EXPECT_EQ(status(0).state, GpuState::kAllocated);
  EXPECT_EQ(status(0).holder, "one");
}

TEST_F(PoolTest, AHolderHasOneLease) {
  pool_.refresh();
  ASSERT_TRUE(pool_.lease(1, "H200", "one"));
  EXPECT_FALSE(pool_.lease(1, "H200", "one"));
  EXPECT_FALSE(pool_.lease(1, "H200", ""));
  EXPECT_EQ(free(), 7u);
}

TEST_F(PoolTest, AnotherTypeIsNotGiven) {
  source_.host.gpus[3].name = "NVIDIA A100-SXM4-80GB";
  pool_.refresh();
  EXPECT_EQ(free(), 7u);
  EXPECT_FALSE(pool_.lease(8, "H200", "all"));
  const auto leased = pool_.lease(1, "A100", "old");
  ASSERT_TRUE(leased);
  EXPECT_EQ(leased->front().uuid, uuid_of(3));
  EXPECT_EQ(leased->front().index, 3u);
}

TEST_F(PoolTest, WhatIsGivenBackIsFreeOnlyAfterALaterReading) {
  pool_.refresh();
  ASSERT_TRUE(pool_.lease(8, "H200", "one"));
  pool_.release("one");
  EXPECT_EQ(free(), 0u);
  EXPECT_TRUE(pool_.is_cleaning());
  EXPECT_EQ(status(0).state, GpuState::kCleaning);
  pool_.refresh();
  EXPECT_EQ(free(), 8u);
  EXPECT_FALSE(pool_.is_cleaning());
}

// A reading that began before the release may not know what was started after it.
TEST(PoolRace, AReadingThatBeganBeforeTheReleaseDoesNotMakeClean) {
  class Releasing final : public NvmlSource {
   public:
    HostReading read() override {
      HostReading host = inner.read();
      if (pool != nullptr) pool->release("one");
      return host;
    }
    FakeSource inner{1};
    Pool* pool = nullptr;
  } source;
  base::ManualClock clock;
  Pool pool(source, {}, clock);
  pool.refresh();
  ASSERT_TRUE(pool.lease(1, "H200", "one"));
  source.pool = &pool;
  pool.refresh();
  EXPECT_EQ(pool.free_count("H200"), 0u);
  pool.refresh();
  EXPECT_EQ(pool.free_count("H200"), 1u);
}

TEST_F(PoolTest, ReleaseOfAnUnknownHolderDoesNothing) {
  pool_.refresh();
  ASSERT_TRUE(pool_.lease(1, "H200", "one"));
  pool_.release("two");
  pool_.release("");
  EXPECT_EQ(status(0).holder, "one");
  EXPECT_EQ(free(), 7u);
}

TEST_F(PoolTest, ARestoredJobHasItsGpusAlsoWhileItsProcessesRun) {
  source_.host.gpus[2].processes = {77};
  pool_.refresh();
  EXPECT_EQ(free(), 7u);
  const std::vector<model::AssignedGpu> gpus = {{2, uuid_of(2)}, {3, uuid_of(3)}};
  ASSERT_TRUE(pool_.restore("old", gpus));
  EXPECT_EQ(free(), 6u);
  EXPECT_EQ(status(2).state, GpuState::kAllocated);
  pool_.refresh();
  EXPECT_EQ(status(2).state, GpuState::kAllocated);
  source_.host.gpus[2].processes.clear();
  pool_.release("old");
  pool_.refresh();
  EXPECT_EQ(free(), 8u);
}

TEST_F(PoolTest, WhatAnotherHolderHasIsNotRestored) {
  pool_.refresh();
  ASSERT_TRUE(pool_.lease(1, "H200", "new"));
  const std::vector<model::AssignedGpu> gpus = {{0, uuid_of(0)}, {1, uuid_of(1)}};
  const auto restored = pool_.restore("old", gpus);
  ASSERT_FALSE(restored);
  EXPECT_NE(restored.error().message.find(uuid_of(0) + " is leased to new"), std::string::npos);
  EXPECT_EQ(status(0).holder, "new");
  EXPECT_EQ(status(1).holder, "old");
}

TEST_F(PoolTest, ARestoredGpuThatIsNotThereIsTheHoldersWhenItComesBack) {
  pool_.refresh();
  const std::vector<model::AssignedGpu> gpus = {{8, uuid_of(8)}};
  const auto restored = pool_.restore("old", gpus);
  ASSERT_FALSE(restored);
  EXPECT_NE(restored.error().message.find(uuid_of(8) + " is not on this host"), std::string::npos);
  EXPECT_EQ(status(8).state, GpuState::kError);
  source_.host.gpus.push_back(FakeSource(9).host.gpus.back());
  pool_.refresh();
  EXPECT_EQ(status(8).state, GpuState::kAllocated);
  EXPECT_EQ(free(), 8u);
}

TEST_F(PoolTest, InstancesAreGpusOfTheirOwn) {
  source_.host.gpus.clear();
  for (std::uint32_t i = 0; i < 7; ++i) {
    GpuReading instance = FakeSource(1).host.gpus.front();
    instance.uuid = "MIG-" + std::to_string(i);
    instance.id = "0:" + std::to_string(i);
    instance.name = i < 6 ? "NVIDIA H200 MIG 1g.18gb" : "NVIDIA H200 MIG 2g.35gb";
    instance.parent = uuid_of(0);
    source_.host.gpus.push_back(instance);
  }
  pool_.refresh();
  EXPECT_EQ(pool_.free_count("H200"), 0u);
  EXPECT_EQ(pool_.free_count("H200-1g-18gb"), 6u);
  EXPECT_TRUE(pool_.lease(4, "H200-1g-18gb", "small"));
  EXPECT_TRUE(pool_.lease(1, "H200-2g-35gb", "large"));
  source_.host.xids = {{uuid_of(0), 79}};
  pool_.refresh();
  EXPECT_EQ(pool_.free_count("H200-1g-18gb"), 0u);
  EXPECT_EQ(pool_.take_faults("small").size(), 4u);
  EXPECT_EQ(pool_.take_faults("large").size(), 1u);
  ASSERT_TRUE(pool_.lift(uuid_of(0)));
  pool_.refresh();
  EXPECT_EQ(pool_.free_count("H200-1g-18gb"), 2u);
}

// Threads lease and release while others look: no GPU is ever had by two, and none is lost.
TEST(PoolThreads, NoGpuIsLeasedTwiceAndNoneLeaks) {
  FakeSource source(8, FakeSource::Links::kQuads);
  base::SystemClock clock;
  Pool pool(source, {}, clock);
  pool.refresh();
  constexpr int kThreads = 6;
  constexpr int kLeases = 150;
  std::array<std::atomic<int>, 8> holders{};
  std::atomic<int> twice = 0;
  std::atomic<int> leases = 0;
  std::atomic<bool> over = false;
  std::thread refresher([&] {
    while (!over) {
      pool.refresh();
      (void)pool.snapshot();
    }
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::uint32_t count = 1u << (t % 3);
      for (int i = 0; i < kLeases;) {
        const std::string holder = std::to_string(t) + "/" + std::to_string(i);
        const auto leased = pool.lease(count, "H200", holder);
        if (!leased) {
          std::this_thread::yield();
          continue;
        }
        ++i;
        ++leases;
        for (const model::AssignedGpu& gpu : *leased) twice += holders[gpu.index]++ == 0 ? 0 : 1;
        std::this_thread::yield();
        for (const model::AssignedGpu& gpu : *leased) --holders[gpu.index];
        pool.release(holder);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  over = true;
  refresher.join();
  pool.refresh();
  EXPECT_EQ(twice, 0);
  EXPECT_EQ(leases, kThreads * kLeases);
  EXPECT_EQ(pool.free_count("H200"), 8u);
}

}  // namespace
}  // namespace airlock::gpu
