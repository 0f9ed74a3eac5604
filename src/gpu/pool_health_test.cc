// What makes a GPU dirty, sick or gone, and how it comes back.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/clock.h"
#include "gpu/fake_source.h"
#include "gpu/pool.h"

namespace airlock::gpu {
namespace {

using std::chrono_literals::operator""s;

class PoolHealthTest : public testing::Test {
 protected:
  PoolHealthTest() { pool_.refresh(); }

  GpuStatus status(std::uint32_t index = 0) {
    for (GpuStatus& gpu : pool_.snapshot()) {
      if (gpu.reading.uuid == uuid_of(index)) return gpu;
    }
    ADD_FAILURE() << "no GPU " << index;
    return {};
  }
  GpuReading& gpu(std::uint32_t index = 0) { return source_.host.gpus[index]; }
  void expect_offline(std::string_view reason) {
    EXPECT_EQ(status().state, GpuState::kOffline);
    EXPECT_NE(status().reason.find(reason), std::string::npos) << status().reason;
    EXPECT_EQ(pool_.free_count("H200"), 1u);
  }
  void expect_free() {
    EXPECT_EQ(status().state, GpuState::kFree) << status().reason;
    EXPECT_TRUE(status().reason.empty());
  }

  FakeSource source_{2};
  base::ManualClock clock_;
  Pool pool_{source_, {}, clock_};
};

TEST_F(PoolHealthTest, AProcessThatIsLeftKeepsAGpuFromTheNextTenant) {
  ASSERT_TRUE(pool_.lease(1, "H200", "job"));
  gpu().processes = {4'711};
  pool_.release("job");
  for (int i = 0; i < 3; ++i) pool_.refresh();
  EXPECT_EQ(status().state, GpuState::kCleaning);
  EXPECT_EQ(status().reason, "it is used by process 4711");
  gpu().processes.clear();
  pool_.refresh();
  expect_free();
}

TEST_F(PoolHealthTest, MemoryThatIsLeftKeepsAGpuFromTheNextTenant) {
  ASSERT_TRUE(pool_.lease(1, "H200", "job"));
  gpu().memory_used = base::mebibytes(261);  // 4 MiB when idle, 256 MiB of tolerance
  pool_.release("job");
  pool_.refresh();
  EXPECT_EQ(status().state, GpuState::kCleaning);
  EXPECT_NE(status().reason.find("261 MiB of its memory"), std::string::npos) << status().reason;
  gpu().memory_used = base::mebibytes(260);
  pool_.refresh();
  expect_free();
}

TEST_F(PoolHealthTest, WhatDoesNotGetCleanIsTakenOfflineAndComesBackWhenItDoes) {
  ASSERT_TRUE(pool_.lease(1, "H200", "job"));
  gpu().processes = {4'711};
  pool_.release("job");
  clock_.advance(60s);
  pool_.refresh();
  EXPECT_EQ(status().state, GpuState::kCleaning);
  clock_.advance(1s);
  pool_.refresh();
  expect_offline("it does not get clean: it is used by process 4711");
  EXPECT_FALSE(status().quarantined);
  gpu().processes.clear();
  pool_.refresh();
  expect_free();
}

TEST_F(PoolHealthTest, AFreeGpuThatSomebodyElseUsesIsNotGiven) {
  gpu().processes = {12, 13};
  pool_.refresh();
  EXPECT_EQ(status().state, GpuState::kCleaning);
  const auto leased = pool_.lease(1, "H200", "job");
  ASSERT_TRUE(leased);
  EXPECT_EQ(leased->front().uuid, uuid_of(1));
  gpu().processes.clear();
  pool_.refresh();
  expect_free();
}

TEST_F(PoolHealthTest, AGpuThatWasUsedWhenItWasFoundIsNotTakenForIdle) {
  FakeSource source(1);
  source.host.gpus[0].memory_used = base::gibibytes(70);
  Pool pool(source, {}, clock_);
  pool.refresh();
  EXPECT_EQ(pool.free_count("H200"), 0u);
  source.host.gpus[0].memory_used = base::mebibytes(4);
  pool.refresh();
  EXPECT_EQ(pool.free_count("H200"), 1u);
}

TEST_F(PoolHealthTest, AnXidOfAProgramTakesNothingAway) {
  ASSERT_TRUE(pool_.lease(1, "H200", "job"));
  for (const std::uint64_t code : {13u, 31u, 43u, 45u, 68u, 109u}) {
    source_.host.xids = {{uuid_of(0), code}};
    pool_.refresh();
    EXPECT_EQ(status().state, GpuState::kAllocated) << code;
  }
  EXPECT_TRUE(pool_.take_faults("job").empty());
}

TEST_F(PoolHealthTest, AFatalXidTakesAGpuAwayUntilItIsLifted) {
  for (const std::uint64_t code : {48u, 62u, 74u, 79u, 95u, 119u, 12'345u}) {
    source_.host.xids = {{uuid_of(0), code}};
    pool_.refresh();
    expect_offline("Xid " + std::to_string(code));
    EXPECT_TRUE(status().quarantined);
    pool_.refresh();
    expect_offline("Xid " + std::to_string(code));
    ASSERT_TRUE(pool_.lift(uuid_of(0)));
    EXPECT_EQ(status().state, GpuState::kCleaning);
    pool_.refresh();
    expect_free();
  }
}

TEST_F(PoolHealthTest, AHolderIsToldOfAFaultAndKeepsItsGpuUntilItGivesItBack) {
  ASSERT_TRUE(pool_.lease(2, "H200", "job"));
  source_.host.xids = {{uuid_of(0), 79}};
  pool_.refresh();
  EXPECT_EQ(status(0).state, GpuState::kError);
  EXPECT_EQ(status(1).state, GpuState::kAllocated);
  const auto faults = pool_.take_faults("job");
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].uuid, uuid_of(0));
  EXPECT_EQ(faults[0].reason, "Xid 79: the GPU has fallen off the bus");
  EXPECT_EQ(faults[0].kind, FaultKind::kFatal);
  EXPECT_TRUE(pool_.take_faults("job").empty());
  pool_.release("job");
  pool_.refresh();
  expect_offline("Xid 79");
}

TEST_F(PoolHealthTest, AMemoryErrorThatWasNotCorrectedTakesAGpuAway) {
  gpu().uncorrected_errors = 2;
  pool_.refresh();
  expect_offline("2 errors of its memory were not corrected");
  ASSERT_TRUE(pool_.lift(uuid_of(0)));
  pool_.refresh();
  expect_free();
  gpu().uncorrected_errors = 0;  // the driver was loaded again
  pool_.refresh();
  expect_free();
  gpu().uncorrected_errors = 1;
  pool_.refresh();
  expect_offline("1 errors");
}

TEST_F(PoolHealthTest, ErrorsFromBeforeItWasFoundAreHistory) {
  FakeSource source(1);
  source.host.gpus[0].uncorrected_errors = 5;
  Pool pool(source, {}, clock_);
  pool.refresh();
  EXPECT_EQ(pool.free_count("H200"), 1u);
}

TEST_F(PoolHealthTest, ARepairThatIsPendingOrFailedTakesAGpuAwayAsLongAsItIs) {
  gpu().repair_pending = true;
  pool_.refresh();
  expect_offline("repaired when it is reset");
  gpu().repair_pending = false;
  gpu().repair_failed = true;
  pool_.refresh();
  expect_offline("could not be repaired");
  gpu().repair_failed = false;
  pool_.refresh();
  pool_.refresh();
  expect_free();
}

TEST_F(PoolHealthTest, AGpuThatVanishedComesBackWhenItWasSeenIdle) {
  GpuReading vanished = gpu();
  source_.host.gpus.erase(source_.host.gpus.begin());
  pool_.refresh();
  expect_offline("it has vanished from the host");
  vanished.processes = {9};
  source_.host.gpus.push_back(vanished);
  pool_.refresh();
  EXPECT_EQ(status().state, GpuState::kCleaning);
  source_.host.gpus.back().processes.clear();
  pool_.refresh();
  expect_free();
}

TEST_F(PoolHealthTest, AGpuThatIsLostOrHasVanishedIsFatalForItsHolder) {
  ASSERT_TRUE(pool_.lease(2, "H200", "job"));
  gpu().trouble = "GPU is lost (15)";
  gpu().lost = true;
  const auto second = source_.host.gpus.begin() + 1;
  source_.host.gpus.erase(second);
  for (int i = 0; i < 3; ++i) pool_.refresh();
  const auto faults = pool_.take_faults("job");
  ASSERT_EQ(faults.size(), 2u);
  for (const GpuFault& fault : faults) EXPECT_EQ(fault.kind, FaultKind::kFatal) << fault.reason;
}

TEST_F(PoolHealthTest, AnOperatorsQuarantineTellsTheHolderNothing) {
  ASSERT_TRUE(pool_.lease(1, "H200", "job"));
  for (int i = 0; i < 3; ++i) pool_.quarantine(uuid_of(0), "the fan is loud");
  EXPECT_TRUE(pool_.take_faults("job").empty());
  EXPECT_EQ(status().state, GpuState::kError);
}

TEST_F(PoolHealthTest, AGpuThatDoesNotAnswerIsOfflineAndItsHolderIsToldOnce) {
  ASSERT_TRUE(pool_.lease(1, "H200", "job"));
  gpu().trouble = "the driver does not answer";
  for (int i = 0; i < 3; ++i) pool_.refresh();
  EXPECT_EQ(status().state, GpuState::kError);
  const auto faults = pool_.take_faults("job");
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].kind, FaultKind::kPassing);
  pool_.release("job");
  pool_.refresh();
  expect_offline("the driver does not answer");
  EXPECT_EQ(status().type, "H200");
  gpu().trouble.clear();
  pool_.refresh();
  expect_free();
}

TEST_F(PoolHealthTest, WithoutADriverAllAreOfflineWithThatReason) {
  source_.host = {.unavailable = "the driver is gone", .driver = {}, .gpus = {}, .xids = {}};
  pool_.refresh();
  EXPECT_EQ(status(0).reason, "the driver is gone");
  EXPECT_EQ(status(1).state, GpuState::kOffline);
}

TEST_F(PoolHealthTest, AnOperatorsQuarantineHoldsUntilItIsLifted) {
  pool_.quarantine(uuid_of(0), "the fan is loud");
  expect_offline("the fan is loud");
  pool_.quarantine(uuid_of(0), "another reason");
  EXPECT_EQ(status().reason, "the fan is loud");
  pool_.refresh();
  expect_offline("the fan is loud");
  ASSERT_TRUE(pool_.lift(uuid_of(0)));
  EXPECT_EQ(pool_.free_count("H200"), 1u);  // looked at first
  pool_.refresh();
  expect_free();
  const auto again = pool_.lift(uuid_of(0));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, base::ErrorCode::kNotFound);
}

TEST_F(PoolHealthTest, AGpuCanBeInQuarantineBeforeItIsThere) {
  pool_.quarantine(uuid_of(2), "it comes with the next delivery");
  source_.host.gpus.push_back(FakeSource(3).host.gpus.back());
  pool_.refresh();
  EXPECT_EQ(status(2).state, GpuState::kOffline);
  EXPECT_EQ(pool_.free_count("H200"), 2u);
}

}  // namespace
}  // namespace airlock::gpu
