#include "runner/jobs/pool_leases.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "gpu/fake_source.h"

namespace airlock::runner {
namespace {

using std::chrono_literals::operator""ms;
namespace fs = std::filesystem;
using gpu::uuid_of;

class PoolLeasesTest : public testing::Test {
 protected:
  PoolLeasesTest() {
    std::string name = (fs::temp_directory_path() / "leases.XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~PoolLeasesTest() override {
    leases_.reset();
    fs::remove_all(folder_);
  }

  PoolLeases& open() {
    auto opened = PoolLeases::open(
        pool_, {.quarantine = folder_ / "gpus",
                .has_device =
                    [this](std::string_view name) { return devices_.contains(std::string(name)); },
                .log =
                    [this](std::string_view event, std::string_view, std::string_view detail) {
                      const std::lock_guard lock(mutex_);
                      log_.push_back(std::string(event) + " " + std::string(detail));
                    }});
    EXPECT_TRUE(opened) << opened.error().to_string();
    leases_ = std::move(*opened);
    return *leases_;
  }
  void change(const std::function<void(std::vector<gpu::GpuReading>&)>& how) {
    const std::lock_guard lock(source_.mutex);
    how(source_.host.gpus);
  }
  // Waits for what the thread that looks will see.
  template <typename Condition>
  bool comes_true(Condition condition) {
    for (int i = 0; i < 3'000 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    return condition();
  }

  fs::path folder_;
  gpu::FakeSource source_{8, gpu::FakeSource::Links::kQuads};
  base::SystemClock clock_;
  gpu::Pool pool_{source_, {}, clock_};
  std::set<std::string> devices_;
  std::mutex mutex_;
  std::vector<std::string> log_;
  std::unique_ptr<PoolLeases> leases_;
};

TEST_F(PoolLeasesTest, TheGpusAreThereWhenItIsOpen) {
  const GpuCounts counts = open().counts();
  EXPECT_EQ(counts.total, 8u);
  EXPECT_EQ(counts.free, 8u);
  EXPECT_EQ(counts.type, "H200");
  EXPECT_EQ(counts.note, "");
}

TEST_F(PoolLeasesTest, WithoutADriverThereAreNoneAndTheNoteSaysWhy) {
  source_.host = {
      .unavailable = "no NVIDIA driver was found", .driver = {}, .gpus = {}, .xids = {}};
  const GpuCounts counts = open().counts();
  EXPECT_EQ(counts.total, 0u);
  EXPECT_EQ(counts.type, "");
  EXPECT_EQ(counts.note, "no NVIDIA driver was found");
  EXPECT_TRUE(leases_->lease(0, "job"));
  EXPECT_FALSE(leases_->lease(1, "job"));
}

TEST_F(PoolLeasesTest, WhatIsGivenBackIsFreeAgainSoon) {
  PoolLeases& leases = open();
  ASSERT_TRUE(leases.lease(8, "job"));
  EXPECT_EQ(leases.counts().free, 0u);
  leases.release("job");
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(comes_true([&] { return leases.counts().free == 8; }));
  EXPECT_LT(std::chrono::steady_clock::now() - before, kGpuLookEvery);
}

TEST_F(PoolLeasesTest, AGpuThatAProcessOfTheJobStillUsesIsWaitedFor) {
  PoolLeases& leases = open();
  ASSERT_TRUE(leases.lease(8, "job"));
  change([](auto& gpus) { gpus[3].processes = {9}; });
  leases.release("job");
  EXPECT_TRUE(comes_true([&] { return leases.counts().free == 7; }));
  EXPECT_EQ(leases.counts().total, 8u);
  EXPECT_EQ(leases.counts().note, "GPU 3 (GPU-3) is cleaning: it is used by process 9");
  change([](auto& gpus) { gpus[3].processes.clear(); });
  EXPECT_TRUE(comes_true([&] { return leases.counts().free == 8; }));
}

TEST_F(PoolLeasesTest, JobsGetTheTypeThatMostAre) {
  source_.host.gpus[0].name = "NVIDIA A100-SXM4-80GB";
  const GpuCounts counts = open().counts();
  EXPECT_EQ(counts.total, 7u);
  EXPECT_EQ(counts.type, "H200");
  EXPECT_EQ(counts.note, "GPU 0 (GPU-0) is of another type, A100");
}

TEST_F(PoolLeasesTest, WhatIsSickIsInTheNoteAndInTheLog) {
  source_.host.gpus[5].trouble = "the driver does not answer";
  PoolLeases& leases = open();
  const GpuCounts counts = leases.counts();
  EXPECT_EQ(counts.total, 8u);  // it may come back
  EXPECT_EQ(counts.free, 7u);
  EXPECT_EQ(counts.note, "GPU 5 (GPU-5) is offline: the driver does not answer");
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(std::ranges::count(log_, "gpu.trouble offline: the driver does not answer"), 1);
  EXPECT_EQ(std::ranges::count(log_, "gpu.usable H200"), 7);
}

TEST_F(PoolLeasesTest, WhatAnOperatorHasInQuarantineIsNotThere) {
  open();
  leases_.reset();
  pool_.quarantine(uuid_of(2), "the fan is loud");
  const GpuCounts counts = open().counts();
  EXPECT_EQ(counts.total, 7u);
  EXPECT_EQ(counts.note, "GPU 2 (GPU-2) is offline: the fan is loud");
  EXPECT_TRUE(fs::exists(folder_ / "gpus" / "GPU-2"));
  fs::remove(folder_ / "gpus" / "GPU-2");
  ASSERT_TRUE(leases_->lease(1, "job"));
  leases_->release("job");  // has it look
  EXPECT_TRUE(comes_true([&] { return leases_->counts().free == 8; }));
}

TEST_F(PoolLeasesTest, AJobIsToldOfWhatEndsTheUseOfItsGpusAndOfNothingElse) {
  PoolLeases& leases = open();
  ASSERT_TRUE(leases.lease(3, "job"));
  pool_.quarantine(uuid_of(1), "the fan is loud");
  change([](auto& gpus) { gpus[2].trouble = "the driver does not answer"; });
  EXPECT_TRUE(leases.look_for_faults("job").empty());
  {
    const std::lock_guard lock(source_.mutex);
    source_.host.xids = {{uuid_of(0), 79}};
  }
  EXPECT_EQ(leases.look_for_faults("job"),
            std::vector<std::string>({"GPU 0 (GPU-0): Xid 79: the GPU has fallen off the bus"}));
  EXPECT_TRUE(leases.take_faults("job").empty());
}

TEST_F(PoolLeasesTest, DevicesAreNamedAsTheHostsSpecsNameThem) {
  source_.host.gpus[1].id = "1:2";
  devices_ = {"nvidia.com/gpu=GPU-0", "nvidia.com/gpu=0", "nvidia.com/gpu=1:2"};
  PoolLeases& leases = open();
  const std::vector<model::AssignedGpu> gpus = {
      {0, uuid_of(0)}, {1, uuid_of(1)}, {2, uuid_of(2)}, {9, uuid_of(9)}};
  EXPECT_EQ(leases.device_names(gpus),
            std::vector<std::string>({"nvidia.com/gpu=GPU-0", "nvidia.com/gpu=1:2",
                                      "nvidia.com/gpu=GPU-2", "nvidia.com/gpu=GPU-9"}));
}

TEST_F(PoolLeasesTest, AFolderThatCannotBeMadeIsAnError) {
  folder_ /= "nothing";
  const auto opened = PoolLeases::open(pool_, {.quarantine = folder_ / "gpus",
                                               .has_device = [](std::string_view) { return true; },
                                               .log = [](auto, auto, auto) {}});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("nothing/gpus"), std::string::npos);
  folder_ = folder_.parent_path();
}

}  // namespace
}  // namespace airlock::runner
