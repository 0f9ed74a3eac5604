#include "gpu/cdi.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <filesystem>
#include <fstream>

namespace airlock::gpu {
namespace {

std::optional<DeviceNumbers> find_fake(const std::string& path) {
  if (path == "/dev/nvidia0") return DeviceNumbers{195, 0};
  if (path == "/dev/nvidia1") return DeviceNumbers{195, 1};
  if (path == "/dev/nvidiactl") return DeviceNumbers{195, 255};
  return std::nullopt;
}

// Shaped like what nvidia-ctk writes.
constexpr std::string_view kSpec = R"(---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
    - name: "0"
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
              major: 195
              fileMode: 438
              permissions: rw
              uid: 0
              gid: 0
    - name: GPU-8d9c3d4e-1111-2222-3333-444455556666
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia7
              hostPath: /dev/nvidia1
              type: c
              major: 195
              minor: 1
containerEdits:
    env:
        - NVIDIA_VISIBLE_DEVICES=void
    deviceNodes:
        - path: /dev/nvidiactl
    hooks:
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args: [nvidia-cdi-hook, update-ldcache]
    mounts:
        - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15
          containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15
          options: [ro, nosuid, nodev, bind]
        - hostPath: /run/nvidia-persistenced/socket
          containerPath: /run/nvidia-persistenced/socket
          options: [ro, nosuid, nodev, bind, noexec]
)";

TEST(Cdi, ADeviceHasWhatItsSpecAndItselfSay) {
  const auto found = parse_cdi_spec(kSpec, "nvidia.yaml", find_fake);
  ASSERT_TRUE(found.has_value()) << found.error().to_string();
  ASSERT_EQ(found->devices.size(), 2u);
  const CdiDevice& first = found->devices[0];
  EXPECT_EQ(first.name, "nvidia.com/gpu=0");
  const std::vector<CdiNode> nodes = {{"/dev/nvidiactl", "/dev/nvidiactl", 195, 255},
                                      {"/dev/nvidia0", "/dev/nvidia0", 195, 0}};
  EXPECT_EQ(first.nodes, nodes);
  ASSERT_EQ(first.mounts.size(), 2u);
  EXPECT_TRUE(first.mounts[0].executable);
  EXPECT_FALSE(first.mounts[1].executable);
  EXPECT_EQ(first.env, std::vector<std::string>{"NVIDIA_VISIBLE_DEVICES=void"});
  EXPECT_EQ(found->devices[1].nodes[1], (CdiNode{"/dev/nvidia1", "/dev/nvidia7", 195, 1}));
  EXPECT_EQ(found->warnings, std::vector<std::string>{"nvidia.yaml: hooks are never run"});
}

TEST(Cdi, JsonIsTheSame) {
  const auto found = parse_cdi_spec(
      R"({"cdiVersion": "0.8.0", "kind": "vendor.com/net_card", "annotations": {"a": "b"},
          "devices": [{"name": "a.b:c-1", "containerEdits": {
            "env": ["A=1", "B_2="], "deviceNodes": [{"path": "/dev/nvidia0", "type": "c"}]}}]})",
      "a.json", find_fake);
  ASSERT_TRUE(found.has_value()) << found.error().to_string();
  ASSERT_EQ(found->devices.size(), 1u) << found->warnings.front();
  EXPECT_EQ(found->devices[0].name, "vendor.com/net_card=a.b:c-1");
  EXPECT_EQ(found->devices[0].env, (std::vector<std::string>{"A=1", "B_2="}));
}

TEST(Cdi, TheTableHasALineForEach) {
  const auto found = parse_cdi_spec(kSpec, "nvidia.yaml", find_fake);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(encode_device(found->devices[0]),
            "device\tnvidia.com/gpu=0\n"
            "node\t/dev/nvidiactl\t/dev/nvidiactl\t195\t255\n"
            "node\t/dev/nvidia0\t/dev/nvidia0\t195\t0\n"
            "mount\t/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15\t"
            "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15\texec\n"
            "mount\t/run/nvidia-persistenced/socket\t/run/nvidia-persistenced/socket\tnoexec\n"
            "env\tNVIDIA_VISIBLE_DEVICES=void\n");
}

// A spec with one device whose edits these are.
std::string spec_of(const std::string& edits) {
  return "{cdiVersion: 0.6.0, kind: v.com/c, devices: [{name: bad, containerEdits: {" + edits +
         "}}, {name: good, containerEdits: {}}]}";
}

TEST(Cdi, ADeviceThatCannotBeGivenIsLeftOutAndNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"deviceNodes: [{path: /etc/passwd}]", "no path below /dev"},
      {"deviceNodes: [{path: /dev/../etc/passwd}]", "no path below /dev"},
      {"deviceNodes: [{path: /dev/nvidia0, hostPath: /sys/x}]", "no path below /dev"},
      {"deviceNodes: [{path: /dev/nvidia9}]", "no character device"},
      {"deviceNodes: [{path: /dev/nvidia0, type: b}]", "only character devices"},
      {"deviceNodes: [{path: /dev/nvidia0, major: 1}]", "major number of /dev/nvidia0 is 195"},
      {"deviceNodes: [{path: /dev/nvidia0, major: 195, minor: 7}]", "minor number"},
      {"deviceNodes: [{path: /dev/nvidia0, major: x}]", "major"},
      {"deviceNodes: [{path: /dev/nvidia0, bus: 1}]", "unknown key \"bus\""},
      {"deviceNodes: [{hostPath: /dev/nvidia0}]", "lacks the key \"path\""},
      {"mounts: [{hostPath: relative, containerPath: /x}]", "no path"},
      {"mounts: [{hostPath: /a/../b, containerPath: /x}]", "no path"},
      {"mounts: [{hostPath: /a}]", "containerPath"},
      {"mounts: [{hostPath: /a, containerPath: /x, type: tmpfs}]", "type tmpfs"},
      {"env: [NOTHING]", "sets no variable"},
      {"env: [\"=x\"]", "sets no variable"},
      {"env: [\"A B=x\"]", "sets no variable"},
      {"env: [\"A=x\\nenv\\tB=y\"]", "sets no variable"},
      {"netDevices: [{hostInterfaceName: eth0}]", "unknown key \"netDevices\""},
  };
  for (const auto& [edits, why] : cases) {
    const auto found = parse_cdi_spec(spec_of(edits), "spec.yaml", find_fake);
    ASSERT_TRUE(found.has_value()) << edits << found.error().to_string();
    ASSERT_EQ(found->devices.size(), 1u) << edits;
    EXPECT_EQ(found->devices[0].name, "v.com/c=good");
    ASSERT_EQ(found->warnings.size(), 1u);
    EXPECT_NE(found->warnings[0].find(why), std::string::npos) << found->warnings[0];
    EXPECT_NE(found->warnings[0].find("spec.yaml:1:"), std::string::npos) << found->warnings[0];
  }
}

TEST(Cdi, AWrongSpecIsAnError) {
  for (const char* text :
       {"", "[]", "{", "{cdiVersion: 0.2.0, kind: v.com/c, devices: [{name: a}]}",
        "{cdiVersion: 9.0.0, kind: v.com/c, devices: [{name: a}]}",
        "{cdiVersion: 0.5.0, kind: gpu, devices: [{name: a}]}",
        "{cdiVersion: 0.5.0, kind: \"v.com/c/d\", devices: [{name: a}]}",
        "{cdiVersion: 0.5.0, kind: v.com/c}", "{cdiVersion: 0.5.0, kind: v.com/c, devices: []}",
        "{cdiVersion: 0.5.0, kind: v.com/c, devices: x}", "{kind: v.com/c, devices: [{name: a}]}",
        "{cdiVersion: 0.5.0, kind: v.com/c, devices: [{name: a}], more: 1}"}) {
    EXPECT_FALSE(parse_cdi_spec(text, "spec.yaml", find_fake).has_value()) << text;
  }
}

class CdiFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = (std::filesystem::temp_directory_path() / "airlock-cdi-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    top_ = path;
    for (const char* name : {"/etc", "/run"}) {
      std::filesystem::create_directory(top_ + name);
      std::filesystem::permissions(top_ + name, std::filesystem::perms(0755));
    }
  }
  void TearDown() override { std::filesystem::remove_all(top_); }

  void put(const std::string& path, const std::string& device, const std::string& value) {
    std::ofstream(top_ + path) << "{cdiVersion: 0.5.0, kind: v.com/c, devices: [{name: " << device
                               << ", containerEdits: {env: [\"WHERE=" << value << "\"]}}]}";
    std::filesystem::permissions(top_ + path, std::filesystem::perms(0644));
  }
  CdiInventory read() {
    return read_cdi_directories({top_ + "/etc", top_ + "/run", top_ + "/missing"}, find_fake);
  }
  std::string top_;
};

TEST_F(CdiFiles, ALaterDirectoryReplacesAnEarlierOne) {
  put("/etc/a.yaml", "0", "etc");
  put("/etc/b.json", "1", "etc");
  put("/etc/c.txt", "2", "etc");
  put("/run/a.yaml", "0", "run");
  const CdiInventory found = read();
  EXPECT_TRUE(found.warnings.empty()) << found.warnings.front();
  ASSERT_EQ(found.devices.size(), 2u);
  EXPECT_EQ(found.devices[0].env[0], "WHERE=etc");
  EXPECT_EQ(found.devices[0].name, "v.com/c=1");
  EXPECT_EQ(found.devices[1].env[0], "WHERE=run");
}

TEST_F(CdiFiles, WhatIsThereTwiceIsThereNotAtAll) {
  put("/etc/a.yaml", "0", "a");
  put("/etc/b.yaml", "0", "b");
  put("/etc/c.yaml", "1", "c");
  const CdiInventory found = read();
  ASSERT_EQ(found.devices.size(), 1u);
  EXPECT_EQ(found.devices[0].name, "v.com/c=1");
  ASSERT_EQ(found.warnings.size(), 1u);
  EXPECT_NE(found.warnings[0].find("v.com/c=0"), std::string::npos);
}

TEST_F(CdiFiles, ABadSpecIsNamedAndTheRestIsUsed) {
  put("/etc/good.yaml", "0", "a");
  std::ofstream(top_ + "/etc/broken.yaml") << "{";
  put("/etc/open.yaml", "1", "b");
  std::filesystem::permissions(top_ + "/etc/open.yaml", std::filesystem::perms(0666));
  ASSERT_EQ(::mkfifo((top_ + "/etc/fifo.yaml").c_str(), 0600), 0);
  std::ofstream(top_ + "/etc/large.json") << std::string(kCdiSpecBytesMax + 1, ' ');
  const CdiInventory found = read();
  EXPECT_EQ(found.devices.size(), 1u);
  ASSERT_EQ(found.warnings.size(), 4u);
  const char* const names[] = {"broken.yaml", "fifo.yaml", "large.json", "open.yaml"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NE(found.warnings[i].find(names[i]), std::string::npos) << found.warnings[i];
  }
}

TEST_F(CdiFiles, ADirectoryThatOthersCanWriteIsNotUsed) {
  put("/etc/a.yaml", "0", "a");
  std::filesystem::permissions(top_ + "/etc", std::filesystem::perms(0777));
  const CdiInventory found = read();
  EXPECT_TRUE(found.devices.empty());
  EXPECT_EQ(found.warnings.size(), 1u);
}

TEST(HostNode, IsACharacterDeviceAndItsNumbers) {
  EXPECT_EQ(find_host_node("/dev/null"), (DeviceNumbers{1, 3}));
  EXPECT_EQ(find_host_node("/dev/fd"), std::nullopt) << "a link";
  EXPECT_EQ(find_host_node("/dev"), std::nullopt);
  EXPECT_EQ(find_host_node("/dev/no-such"), std::nullopt);
}

}  // namespace
}  // namespace airlock::gpu
