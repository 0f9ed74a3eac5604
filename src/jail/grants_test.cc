#include "jail/grants.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace airlock::jail {
namespace {

constexpr std::string_view kTable =
    "device\tnvidia.com/gpu=0\n"
    "node\t/dev/nvidia0\t/dev/nvidia0\t195\t0\n"
    "node\t/dev/host/caps\t/dev/nvidia-caps/nvidia-cap1\t237\t1\n"
    "mount\t/usr/lib/libcuda.so.1\t/usr/lib/libcuda.so.1\texec\n"
    "mount\t/lib/firmware/x\t/lib/firmware/x\tnoexec\n"
    "mount\t/run/driver/libcuda.so.1\t/usr/lib/libcuda.so.1\texec\n"
    "mount\t/etc/passwd\t/etc/vulkan/icd.json\tnoexec\n"
    "mount\t/etc\t/opt/nvidia\tnoexec\n"
    "mount\t/no/such\t/opt/none\tnoexec\n"
    "env\tA=b=c\n"
    "device\tnvidia.com/gpu=1\n";

TEST(DeviceTable, EveryLineIsPartOfTheDeviceBeforeIt) {
  const auto devices = parse_device_table(kTable);
  ASSERT_TRUE(devices.has_value()) << devices.error().to_string();
  ASSERT_EQ(devices->size(), 2u);
  const DeviceGrant& first = devices->front();
  EXPECT_EQ(first.name, "nvidia.com/gpu=0");
  ASSERT_EQ(first.nodes.size(), 2u);
  EXPECT_EQ(first.nodes[1].source, "/dev/host/caps");
  EXPECT_EQ(first.nodes[1].target, "/dev/nvidia-caps/nvidia-cap1");
  EXPECT_EQ(first.nodes[1].major, 237u);
  EXPECT_EQ(first.mounts.size(), 6u);
  EXPECT_TRUE(first.mounts[0].executable);
  EXPECT_FALSE(first.mounts[1].executable);
  EXPECT_EQ(first.env, std::vector<std::string>{"A=b=c"});
  EXPECT_TRUE(devices->back().nodes.empty());
  EXPECT_TRUE(parse_device_table("")->empty());
}

TEST(DeviceTable, AWrongLineIsRefusedWithItsNumber) {
  const char* const lines[] = {
      "",
      "x",
      "device",
      "device\t",
      "device\td",  // once more
      "device\tb\tc",
      "node\t/etc/passwd\t/dev/x\t1\t3",
      "node\t/dev/../etc/passwd\t/dev/x\t1\t3",
      "node\t/dev/x\t/etc/x\t1\t3",
      "node\t/dev\t/dev\t1\t3",
      "node\t/dev/x\t/dev/null\t1\t3",
      "node\t/dev/x\t/dev/pts/0\t1\t3",
      "node\t/dev/x\t/dev/shm/x\t1\t3",
      "node\t/dev/x\t/dev/x\t-1\t3",
      "node\t/dev/x\t/dev/x\t1\t3x",
      "node\t/dev/x\t/dev/x\t1\t4294967296",
      "node\t/dev/x\t/dev/x\t1",
      "node\t/dev/x\t/dev/x\t1\t3\t4",
      "mount\trelative\t/opt/x\texec",
      "mount\t/x\t/opt/../x\texec",
      "mount\t/x\t/opt//x\texec",
      "mount\t/x\t/opt\texec",
      "mount\t/x\t/proc/x\texec",
      "mount\t/x\t/workspace/x\texec",
      "mount\t/x\t/build/x\texec",
      "mount\t/x\t/dev/shm/x\texec",
      "mount\t/x\t/opt/x\twrite",
      "mount\t/x\t/opt/x",
      "env\tA",
      "env\t=b",
      "env\tA=b\tc",
  };
  for (const std::string line : lines) {
    const auto devices = parse_device_table("device\td\n" + line + "\n");
    ASSERT_FALSE(devices.has_value()) << line;
    EXPECT_NE(devices.error().message.find("line 2 "), std::string::npos) << line;
  }
  EXPECT_FALSE(parse_device_table("node\t/dev/x\t/dev/x\t1\t3\n").has_value());
  EXPECT_FALSE(parse_device_table("device\td").has_value()) << "it does not end";
}

TEST(DeviceTable, IsBounded) {
  std::string many;
  for (std::size_t i = 0; i < kDevicesMax; ++i) many += "device\td" + std::to_string(i) + "\n";
  EXPECT_TRUE(parse_device_table(many).has_value());
  EXPECT_FALSE(parse_device_table(many + "device\tmore\n").has_value());
  std::string much = "device\td\n";
  for (std::size_t i = 0; i < kDevicePartsMax; ++i) much += "env\tA=b\n";
  EXPECT_TRUE(parse_device_table(much).has_value());
  EXPECT_FALSE(parse_device_table(much + "env\tA=b\n").has_value());
  EXPECT_FALSE(parse_device_table(std::string(kDeviceTableBytesMax, '\n') + "x").has_value());
  const std::string path = "/dev/" + std::string(kGrantPathBytesMax, 'x');
  EXPECT_FALSE(parse_device_table("device\td\nnode\t" + path + "\t/dev/x\t1\t3\n").has_value());
}

TEST(Grants, WhatIsSeenAnywayIsNotMountedAgain) {
  Grants grants;
  grants.folders.push_back({"models", "/srv/models"});
  grants.devices = *parse_device_table(kTable);
  const std::vector<MountPoint> points = settle_grants(&grants);
  const auto& mounts = grants.devices.front().mounts;
  EXPECT_EQ(mounts.size(), 4u);
  EXPECT_EQ(mounts[0].source, "/run/driver/libcuda.so.1") << "from elsewhere";
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].path, "/etc/vulkan/icd.json");
  EXPECT_FALSE(points[0].is_folder);
  EXPECT_EQ(points[1].path, "/models");
  EXPECT_EQ(points[2].path, "/opt/nvidia");
  EXPECT_TRUE(points[2].is_folder);
}

TEST(Grants, AreFoundByTheirWholeName) {
  Grants grants;
  grants.folders.push_back(*parse_folder_grant("models=/srv/models"));
  grants.devices = *parse_device_table(kTable);
  EXPECT_EQ(find_folder(grants, "models")->path, "/srv/models");
  EXPECT_EQ(find_folder(grants, "model"), nullptr);
  EXPECT_EQ(find_folder(grants, ""), nullptr);
  EXPECT_NE(find_device(grants, "nvidia.com/gpu=1"), nullptr);
  EXPECT_EQ(find_device(grants, "nvidia.com/gpu"), nullptr);
}

}  // namespace
}  // namespace airlock::jail
