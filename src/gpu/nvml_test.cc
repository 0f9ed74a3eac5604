// Through dlopen and the stand-in of tests/support/nvml, as through the real library.
#include "gpu/nvml.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "gpu/pool.h"

namespace airlock::gpu {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
namespace fs = std::filesystem;

// The stand-in tells of each number once in the life of the process.
std::string next_number() {
  static std::atomic<int> number = 0;
  return std::to_string(++number);
}

class NvmlTest : public testing::Test {
 protected:
  NvmlTest() {
    std::string name = (fs::temp_directory_path() / "standin.XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    say("");
    ::setenv("AIRLOCK_STANDIN_NVML", (folder_ / "state").c_str(), 1);
  }
  ~NvmlTest() override {
    say("");
    fs::remove_all(folder_);
  }

  // Replaced as a whole: a reader sees the old or the new.
  void say(const std::string& facts) {
    std::ofstream(folder_ / "new") << facts;
    fs::rename(folder_ / "new", folder_ / "state");
  }
  static NvmlOptions standin() { return {.path = AIRLOCK_NVML_STANDIN, .answer_max = 20s}; }

  fs::path folder_;
};

TEST_F(NvmlTest, AHostWithoutADriverHasNoGpusAndSaysWhy) {
  Nvml nvml({.path = "/nonexistent/libnvidia-ml.so.1", .answer_max = 20s});
  const HostReading host = nvml.read();
  EXPECT_TRUE(host.gpus.empty());
  EXPECT_NE(host.unavailable.find("no NVIDIA driver was found"), std::string::npos);
  EXPECT_NE(host.unavailable.find("/nonexistent/libnvidia-ml.so.1"), std::string::npos);
}

TEST_F(NvmlTest, ALibraryThatIsNotNvmlIsRefusedByName) {
  Nvml nvml({.path = "libm.so.6", .answer_max = 20s});
  const HostReading host = nvml.read();
  EXPECT_NE(host.unavailable.find("lacks nvmlInit_v2"), std::string::npos) << host.unavailable;
}

TEST_F(NvmlTest, EightH200sAreSeenWithAllThatIsKnownOfThem) {
  say("gpu 3 used 1073741824\ngpu 3 utilization 87\ngpu 3 temperature 61\n"
      "gpu 3 processes 12,34,12\ngpu 3 graphics 56\ngpu 3 ecc 2\n");
  Nvml nvml(standin());
  const HostReading host = nvml.read();
  EXPECT_EQ(host.unavailable, "");
  EXPECT_EQ(host.driver, "550.90.07");
  ASSERT_EQ(host.gpus.size(), 8u);
  const GpuReading& gpu = host.gpus[3];
  EXPECT_EQ(gpu.trouble, "");
  EXPECT_EQ(gpu.uuid, "GPU-00000003-0000-4000-8000-000000000000");
  EXPECT_EQ(gpu.index, 3u);
  EXPECT_EQ(gpu.id, "3");
  EXPECT_EQ(gpu.name, "NVIDIA H200");
  EXPECT_EQ(gpu.memory_total, base::mebibytes(143'771));
  EXPECT_EQ(gpu.memory_used, base::gibibytes(1));
  EXPECT_EQ(gpu.utilization_percent, 87u);
  EXPECT_EQ(gpu.temperature_celsius, 61u);
  EXPECT_EQ(gpu.power_milliwatts, 75'000u);
  EXPECT_EQ(gpu.processes, std::vector<std::uint32_t>({12, 34, 56}));
  EXPECT_EQ(gpu.uncorrected_errors, 2u);
  EXPECT_EQ(gpu.numa_node, 0u);
  EXPECT_EQ(host.gpus[4].numa_node, 1u);
  EXPECT_EQ(gpu.nvlink_peers.size(), 7u);
}

TEST_F(NvmlTest, LinksAreSeenAsTheyAre) {
  say("links quads\n");
  Nvml quads(standin());
  EXPECT_EQ(quads.read().gpus[5].nvlink_peers.size(), 3u);
  say("links none\n");
  Nvml none(standin());
  EXPECT_TRUE(none.read().gpus[5].nvlink_peers.empty());
}

TEST_F(NvmlTest, AnOldDriverIsUnderstood) {
  say("links quads\ngpu 2 used 1048576\ngpu 2 processes 7,8\n");
  Nvml nvml({.path = AIRLOCK_NVML_STANDIN_OLD, .answer_max = 20s});
  const HostReading host = nvml.read();
  ASSERT_EQ(host.gpus.size(), 8u);
  EXPECT_EQ(host.gpus[2].trouble, "");
  EXPECT_EQ(host.gpus[2].processes, std::vector<std::uint32_t>({7, 8}));
  EXPECT_EQ(host.gpus[2].memory_used, base::mebibytes(613));  // with what the driver keeps
  EXPECT_EQ(host.gpus[2].nvlink_peers.size(), 3u);            // through a switch of the quad
}

TEST_F(NvmlTest, AnInstanceTakesThePlaceOfItsGpu) {
  say("devices 2\ngpu 1 mig 1g.18gb,3g.71gb\nmig 1 1 used 2097152\nmig 1 1 processes 99\n");
  Nvml nvml(standin());
  const HostReading host = nvml.read();
  ASSERT_EQ(host.gpus.size(), 3u);
  EXPECT_EQ(host.gpus[0].id, "0");
  const GpuReading& instance = host.gpus[2];
  EXPECT_EQ(instance.trouble, "");
  EXPECT_EQ(instance.id, "1:1");
  EXPECT_EQ(instance.index, 1u);
  EXPECT_EQ(instance.uuid, "MIG-00000001-0000-4000-8000-000000000001");
  EXPECT_EQ(instance.parent, "GPU-00000001-0000-4000-8000-000000000000");
  EXPECT_EQ(instance.name, "NVIDIA H200 MIG 3g.71gb");
  EXPECT_EQ(instance.memory_used, base::mebibytes(2));
  EXPECT_EQ(instance.processes, std::vector<std::uint32_t>({99}));
  EXPECT_EQ(instance.temperature_celsius, 30u);
  EXPECT_FALSE(instance.utilization_percent);
}

TEST_F(NvmlTest, AnXidIsReportedOnce) {
  Nvml nvml(standin());
  EXPECT_TRUE(nvml.read().xids.empty());
  const std::string number = next_number();
  say("gpu 6 xid 79 " + number + "\ngpu 6 xid 13 " + next_number() + "\n");
  const HostReading host = nvml.read();
  ASSERT_EQ(host.xids.size(), 2u);
  EXPECT_EQ(host.xids[0].uuid, host.gpus[6].uuid);
  EXPECT_EQ(host.xids[0].code, 79u);
  EXPECT_EQ(host.xids[1].code, 13u);
  EXPECT_TRUE(nvml.read().xids.empty());
}

TEST_F(NvmlTest, ALostGpuKeepsItsIdentityAndComesBack) {
  Nvml nvml(standin());
  const std::string uuid = nvml.read().gpus[2].uuid;
  for (const char* const how : {"gpu 2 lost\n", "gpu 2 lost late\n"}) {
    say(how);
    const HostReading host = nvml.read();
    ASSERT_EQ(host.gpus.size(), 8u);
    EXPECT_TRUE(host.gpus[2].lost) << how;
    EXPECT_EQ(host.gpus[2].uuid, uuid);
    EXPECT_EQ(host.gpus[2].trouble, "GPU is lost (15)");
    EXPECT_EQ(host.gpus[3].trouble, "");
  }
  say("");
  EXPECT_EQ(nvml.read().gpus[2].trouble, "");
  EXPECT_EQ(nvml.read().gpus[2].nvlink_peers.size(), 7u);
}

TEST_F(NvmlTest, ADriverThatIsLoadedLaterIsFound) {
  say("init 9\n");
  Nvml nvml(standin());
  EXPECT_NE(nvml.read().unavailable.find("Driver Not Loaded (9)"), std::string::npos);
  say("");
  EXPECT_EQ(nvml.read().gpus.size(), 8u);
  say("init 9\n");
  EXPECT_NE(nvml.read().unavailable.find("Driver Not Loaded (9)"), std::string::npos);
  say("");
  EXPECT_EQ(nvml.read().gpus.size(), 8u);
}

TEST_F(NvmlTest, AGpuThatHangsDoesNotAnswerAndTheOthersDo) {
  Nvml nvml({.path = AIRLOCK_NVML_STANDIN, .answer_max = 2s});
  ASSERT_EQ(nvml.read().gpus.size(), 8u);
  say("gpu 4 hang\ngpu 5 xid 79 " + next_number() + "\n");
  const auto before = std::chrono::steady_clock::now();
  const HostReading host = nvml.read();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 15s);
  ASSERT_EQ(host.gpus.size(), 8u);
  EXPECT_EQ(host.gpus[4].trouble, kNoAnswer);
  EXPECT_EQ(std::ranges::count(host.gpus, std::string(), &GpuReading::trouble), 7);
  EXPECT_EQ(host.xids.size(), 1u);
  EXPECT_EQ(nvml.read().gpus[4].trouble, kNoAnswer);  // its thread still waits
  say("");
  bool answered = false;
  for (int i = 0; i < 600 && !answered; ++i) {
    ::usleep(20'000);
    answered = nvml.read().gpus[4].trouble.empty();
  }
  EXPECT_TRUE(answered);
}

TEST_F(NvmlTest, ALibraryThatHangsTakesAllGpusOfflineAndNobodyWithIt) {
  Nvml nvml({.path = AIRLOCK_NVML_STANDIN, .answer_max = 1s});
  base::SystemClock clock;
  Pool pool(nvml, {}, clock);
  for (int i = 0; i < 60 && pool.free_count("H200") < 8; ++i) pool.refresh();
  ASSERT_TRUE(pool.lease(1, "H200", "job"));
  say("hang\n");
  pool.refresh();
  EXPECT_EQ(pool.free_count("H200"), 0u);
  for (const GpuStatus& gpu : pool.snapshot()) EXPECT_EQ(gpu.reason, kNoAnswer);
  EXPECT_EQ(pool.take_faults("job").size(), 1u);
  say("");
  for (int i = 0; i < 600 && pool.free_count("H200") < 7; ++i) {
    ::usleep(20'000);
    pool.refresh();
  }
  EXPECT_EQ(pool.free_count("H200"), 7u);
}

TEST_F(NvmlTest, ItMayEndWhileAGpuHangs) {
  {
    Nvml nvml({.path = AIRLOCK_NVML_STANDIN, .answer_max = 100ms});
    say("gpu 0 hang\n");
    for (int i = 0; i < 600; ++i) {
      const HostReading host = nvml.read();
      if (!host.gpus.empty() && host.gpus[0].trouble == kNoAnswer) break;
      ::usleep(10'000);
    }
  }
  say("");
}

}  // namespace
}  // namespace airlock::gpu
