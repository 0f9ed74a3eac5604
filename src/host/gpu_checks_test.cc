#include <gtest/gtest.h>

#include "host/checks.h"
#include "host/fake_host.h"

namespace airlock::host {
namespace {

constexpr const char* kVersion = "/proc/driver/nvidia/version";
constexpr const char* kLibrary = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1";

FakeHost host_with_gpus() {
  FakeHost host;
  host.nodes[kVersion] = {.kind = FileKind::kRegular, .owner = 0, .mode = 0444};
  host.nodes[kLibrary] = {.kind = FileKind::kRegular, .owner = 0, .mode = 0644};
  host.nodes["/etc/cdi/nvidia.yaml"] = {.kind = FileKind::kRegular, .owner = 0, .mode = 0644};
  for (const char* const node : {"/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia1"}) {
    host.nodes[node] = {.kind = FileKind::kCharacterDevice, .owner = 0, .mode = 0666};
  }
  return host;
}

Finding only(const Findings& findings) {
  EXPECT_EQ(findings.size(), 1u);
  return findings.at(0);
}

TEST(GpuChecksTest, AHostWithoutGpusIsFine) {
  FakeHost host;
  const Finding finding = only(check_gpus(host));
  EXPECT_EQ(finding.status, FindingStatus::kOk);
  EXPECT_EQ(finding.seen, "no NVIDIA driver");
}

TEST(GpuChecksTest, ADriverWithAllThatJobsNeedIsFine) {
  FakeHost host = host_with_gpus();
  const Finding finding = only(check_gpus(host));
  EXPECT_EQ(finding.status, FindingStatus::kOk);
  EXPECT_EQ(finding.seen, "2 of NVIDIA, " + std::string(kLibrary) + ", /etc/cdi/nvidia.yaml");
}

TEST(GpuChecksTest, WhatIsAbsentIsAWarningWithItsFix) {
  const auto fix_without = [](std::initializer_list<const char*> absent) {
    FakeHost host = host_with_gpus();
    for (const char* const path : absent) host.nodes.erase(path);
    const Finding finding = only(check_gpus(host));
    EXPECT_EQ(finding.status, FindingStatus::kWarn);
    return finding.fix;
  };
  EXPECT_EQ(fix_without({kVersion}), "modprobe nvidia");
  EXPECT_EQ(fix_without({"/dev/nvidiactl"}), "nvidia-modprobe -c 0 -u");
  EXPECT_EQ(fix_without({"/dev/nvidia0", "/dev/nvidia1"}), "nvidia-modprobe -c 0 -u");
  EXPECT_EQ(fix_without({kLibrary}), "set hardware.nvml_path, or apt-get install -y libnvidia-ml1");
  EXPECT_EQ(fix_without({"/etc/cdi/nvidia.yaml"}),
            "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml");
}

}  // namespace
}  // namespace airlock::host
