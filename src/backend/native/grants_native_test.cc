// Folders and devices, on the real launcher: what was named is there, and nothing else.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "backend/native/native_fixture.h"

namespace airlock::backend::native {
namespace {

class FoldersNativeTest : public GrantsFixture {
 protected:
  void SetUp() override {
    GrantsFixture::SetUp();
    folder_ = scratch_ + "/models on host";
    std::filesystem::create_directories(folder_ + "/below");
    std::ofstream(folder_ + "/weights") << "weights\n";
    std::filesystem::copy_file("/bin/true", folder_ + "/program");
    std::filesystem::permissions(scratch_, std::filesystem::perms(0755));
    start({.folders = {"models=" + folder_, "sets=" + scratch_ + "/missing"}});
  }
  std::string folder_;
};

TEST_F(FoldersNativeTest, AFolderThatIsNamedIsThereToBeRead) {
  const Said said =
      run_with({.folders = {"models"}},
               "cat /models/weights; echo x > /models/new; /models/program; chmod 777 "
               "/models/weights; rm /models/weights; grep ' /models ' "
               "/proc/self/mountinfo | cut -d' ' -f6");
  EXPECT_TRUE(said.output.starts_with("weights\n")) << said.output;
  for (const char* what : {"Read-only file system", "ermission denied", "ro,nosuid,nodev,noexec"}) {
    EXPECT_NE(said.output.find(what), std::string::npos) << what << ": " << said.output;
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/weights"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/new"));
}

TEST_F(FoldersNativeTest, OnlyWhoNamesItSeesIt) {
  EXPECT_EQ(run_with({}, "ls -A /models").output, "");
  EXPECT_EQ(why_not({.folders = {"others"}}), "folder: " + std::to_string(ENOENT));
  EXPECT_EQ(why_not({.folders = {"sets"}}), "folder: " + std::to_string(ENOENT));
  for (const std::string name : {"", "..", "/etc", "models/below", "models=/etc"}) {
    EXPECT_EQ(why_not({.folders = {name}}), "folder: " + std::to_string(ENOENT)) << name;
  }
  EXPECT_EQ(run_with({.folders = {"models", "models"}}, "cat /models/weights").output, "weights\n");
}

TEST_F(FoldersNativeTest, WhatTheHostMountsLaterStaysOutside) {
  if (!is_root()) GTEST_SKIP() << "an ordinary user mounts nothing";
  const auto workspace = open_workspace();
  const auto sandbox = create(*workspace, {.folders = {"models"}});
  ASSERT_EQ(run(*sandbox, "ls /models/below").output, "");
  const std::string below = folder_ + "/below";
  ASSERT_EQ(::mount("later", below.c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(below + "/file") << "x";
  EXPECT_EQ(run(*sandbox, "ls /models/below").output, "");
  EXPECT_EQ(run_with({.folders = {"models"}}, "ls /models/below; echo y > /models/below/file")
                .output.substr(0, 5),
            "file\n");
  ASSERT_EQ(::umount2(below.c_str(), MNT_DETACH), 0);
}

TEST_F(FoldersNativeTest, AWrongFolderStopsTheLauncher) {
  for (const std::string text :
       {"models", "=/x", "usr=/x", "build=/x", "a/b=/x", "m=relative", "m=/a/../b", "Models=/x"}) {
    start({.folders = {text}});
    EXPECT_FALSE(backend_->list_layers().has_value()) << text;
  }
}

class DevicesNativeTest : public GrantsFixture {
 protected:
  void SetUp() override {
    GrantsFixture::SetUp();
    std::filesystem::permissions(scratch_, std::filesystem::perms(0755));
    if (is_root()) {
      nodes_ = "/dev/airlock-test-" + std::to_string(::getpid());
      std::filesystem::create_directories(nodes_);
      make_node("full", S_IFCHR, ::makedev(1, 7));
      make_node("zero", S_IFCHR, ::makedev(1, 5));
      make_node("block", S_IFBLK, ::makedev(7, 63));
      std::ofstream(nodes_ + "/plain") << "x";
    }
    std::ofstream(scratch_ + "/driver.conf") << "driver\n";
    std::filesystem::create_directories(scratch_ + "/icd");
    std::ofstream(scratch_ + "/icd/one.json") << "icd\n";
  }
  void TearDown() override {
    if (!nodes_.empty()) std::filesystem::remove_all(nodes_);
    GrantsFixture::TearDown();
  }
  void make_node(const std::string& name, mode_t kind, dev_t number) {
    ASSERT_EQ(::mknod((nodes_ + "/" + name).c_str(), kind | 0666, number), 0);
    ASSERT_EQ(::chmod((nodes_ + "/" + name).c_str(), 0666), 0);
  }
  std::string node(const std::string& name, const std::string& target, int major, int minor) {
    // An ordinary user makes no nodes.
    return "node\t" + (is_root() ? nodes_ : "/dev") + "/" + name + "\t" + target + "\t" +
           std::to_string(major) + "\t" + std::to_string(minor) + "\n";
  }
  std::string table() {
    return "device\ttest.org/gpu=0\n" + node("full", "/dev/test0", 1, 7) +
           node("zero", "/dev/test-caps/ctl", 1, 5) + "mount\t" + scratch_ +
           "/driver.conf\t/etc/test/driver.conf\tnoexec\nmount\t" + scratch_ +
           "/icd\t/opt/test/icd.d\texec\nenv\tTEST_VISIBLE=0\ndevice\ttest.org/gpu=1\n" +
           node("zero", "/dev/test1", 1, 5) + node("zero", "/dev/test-caps/ctl", 1, 5) +
           "device\ttest.org/gpu=wrong\n" + node("full", "/dev/test2", 1, 5) +
           "device\ttest.org/gpu=block\n" + node("block", "/dev/test3", 7, 63) +
           "device\ttest.org/gpu=plain\n" + node("plain", "/dev/test4", 0, 0) +
           "device\ttest.org/gpu=gone\n" + node("gone", "/dev/test5", 1, 5) +
           "device\ttest.org/gpu=other\n" + node("zero", "/dev/test0", 1, 5);
  }
  std::string nodes_;
};

TEST_F(DevicesNativeTest, ADeviceThatIsNamedWorksInside) {
  start({.device_table = table()});
  const Said said = run_with(
      {.devices = {"test.org/gpu=0"}},
      "stat -c '%t %T' /dev/test0 /dev/test-caps/ctl; head -c 3 /dev/test0 | wc -c; cat "
      "/etc/passwd > /dev/test0; cat /etc/test/driver.conf /opt/test/icd.d/one.json; echo x > "
      "/etc/test/driver.conf; ls /dev | tr '\\n' ' '; echo hi > /dev/null; echo a >&2; "
      "mknod /dev/mine c 1 5; : > /dev/file");
  EXPECT_TRUE(said.output.starts_with("1 7\n1 5\n3\n")) << said.output;
  for (const char* what :
       {"No space left on device", "driver\nicd\n", "Read-only file system",
        "fd full null ptmx pts random shm stderr stdin stdout test-caps test0 tty urandom zero",
        "/dev/mine"}) {
    EXPECT_NE(said.output.find(what), std::string::npos) << what << ": " << said.output;
  }
  const DeviceInfo* const info = backend_->find_device("test.org/gpu=0");
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(info->env, std::vector<std::string>{"TEST_VISIBLE=0"});
  EXPECT_EQ(backend_->find_device("test.org/gpu=9"), nullptr);
}

TEST_F(DevicesNativeTest, SeveralShareNodesAndOthersSeeNone) {
  start({.device_table = table()});
  const char* const kList = "ls /dev | grep test | tr '\\n' ' '";
  EXPECT_EQ(run_with({.devices = {"test.org/gpu=0", "test.org/gpu=1"}}, kList).output,
            "test-caps test0 test1 ");
  EXPECT_EQ(run_with({.devices = {"test.org/gpu=1"}}, kList).output, "test-caps test1 ");
  EXPECT_EQ(run_with({}, "ls /dev | grep -c test; ls /opt/test/icd.d").output, "0\n");
  // The two differ, and one path cannot be both.
  EXPECT_EQ(why_not({.devices = {"test.org/gpu=0", "test.org/gpu=other"}}),
            "device: " + std::to_string(EEXIST));
}

TEST_F(DevicesNativeTest, ANodeThatIsNotWhatTheTableSaysIsRefused) {
  start({.device_table = table()});
  const std::string kRefused = "device: " + std::to_string(ENXIO);
  EXPECT_EQ(why_not({.devices = {"test.org/gpu=wrong"}}), kRefused);
  if (is_root()) {
    EXPECT_EQ(why_not({.devices = {"test.org/gpu=block"}}), kRefused);
    EXPECT_EQ(why_not({.devices = {"test.org/gpu=plain"}}), kRefused);
  }
  EXPECT_EQ(why_not({.devices = {"test.org/gpu=gone"}}), "device: " + std::to_string(ENOENT));
  for (const std::string name :
       {"", "/dev/zero", "test.org/gpu", "test.org/gpu=0\n", "../dev/sda"}) {
    EXPECT_EQ(why_not({.devices = {name}}), "device: " + std::to_string(ENOENT)) << name;
  }
}

// That the test above can fail.
TEST_F(DevicesNativeTest, WithoutTheLookAtItsNumbersAnyNodeWouldBeThere) {
  ::setenv("AIRLOCK_JAIL_TEST_DISABLE", "device_numbers", 1);
  start({.device_table = table()}, "airlock-jail-testhooks");
  EXPECT_EQ(run_with({.devices = {"test.org/gpu=wrong"}}, "stat -c '%t %T' /dev/test2").output,
            "1 7\n");
}

TEST_F(DevicesNativeTest, DevicesLayersAndFoldersGoTogether) {
  start({.folders = {"models=" + scratch_}, .device_table = table()});
  ASSERT_TRUE(build_layer("with", "echo layer > f").has_value());
  const SandboxSpec all{.layer = "with", .folders = {"models"}, .devices = {"test.org/gpu=0"}};
  const auto workspace = open_workspace(100);
  for (int phase = 0; phase < 2; ++phase) {
    const auto sandbox = create(*workspace, all);
    const Said said = run(*sandbox,
                          "cat /build/f /models/driver.conf; test -c /dev/test0 && echo x >> "
                          "/workspace/kept; wc -l < /workspace/kept");
    EXPECT_EQ(said.output, "layer\ndriver\n" + std::to_string(phase + 1) + "\n");
  }
}

// What the runtime of a container gives, on every backend, which tests/backends/run.py names: a
// native sandbox gets nodes, Docker is asked for a GPU by its name, and has a hook that stands in
// for NVIDIA's note what it is to get.
class RuntimeGrantsTest : public GrantsFixture {
 protected:
  static std::string backend() {
    const char* const name = std::getenv("AIRLOCK_TEST_BACKEND");
    return name != nullptr ? name : "native";
  }
  static std::string hook_has_seen() {
    const char* const path = std::getenv("AIRLOCK_TEST_GPU_HOOK");
    std::ifstream stream(path != nullptr ? path : "/dev/null");
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  static std::string gpu(const std::string& name) {
    return "device\tnvidia.com/gpu=" + name + "\nnode\t/dev/zero\t/dev/" + name + "\t1\t5\n";
  }
};

// Also where whoever asks is a daemon that was taken over.
TEST_F(RuntimeGrantsTest, AnImageThatTheOperatorDoesNotAllowIsNotToBeHad) {
  start({});
  const bool has_images = backend().starts_with("docker");
  EXPECT_EQ(why_not({.image = "airlock-run:latest"}),
            "image: " + std::to_string(has_images ? EIO : ENOTSUP));
}

TEST_F(RuntimeGrantsTest, ThoseOfTheLeaseByNameAndNoOther) {
  start({.device_table = gpu("GPU-a") + gpu("GPU-b") + gpu("MIG-c")});
  const std::string before = hook_has_seen();
  const SandboxSpec two{.devices = {"nvidia.com/gpu=GPU-b", "nvidia.com/gpu=GPU-a"}};
  if (backend() == "gvisor") {
    EXPECT_EQ(why_not(two), "device: " + std::to_string(ENOTSUP));
    return;
  }
  EXPECT_EQ(why_not({.devices = {"nvidia.com/gpu=all"}}), "device: " + std::to_string(ENOENT));
  EXPECT_EQ(run_with({}, "echo /dev/GPU*").output, "/dev/GPU*\n");
  if (backend() == "native") {
    EXPECT_EQ(run_with(two, "echo /dev/GPU*").output, "/dev/GPU-a /dev/GPU-b\n");
    return;
  }
  EXPECT_EQ(hook_has_seen(), before) << "no GPU was asked for";
  EXPECT_EQ(run_with(two, "echo runs").output, "runs\n");
  EXPECT_EQ(hook_has_seen().substr(before.size()),
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility NVIDIA_VISIBLE_DEVICES=GPU-b,GPU-a\n");
  const SandboxSpec instance{.devices = {"nvidia.com/gpu=MIG-c"}};
  if (backend() == "docker+gvisor") {
    EXPECT_EQ(why_not(instance), "container: " + std::to_string(EIO)) << "gVisor has none";
  } else {
    EXPECT_EQ(run_with(instance, "echo runs").output, "runs\n");
  }
}

TEST_F(FoldersNativeTest, ATierBelowFullRefusesThemAndSaysWhy) {
  start({.allow_process = true}, "airlock-nest");
  EXPECT_EQ(run_with({}, "echo here").output, "here\n");
  const std::string not_here = std::to_string(ENOTSUP);
  EXPECT_EQ(why_not({.layer = "any"}), "layer: " + not_here);
  EXPECT_EQ(why_not({.folders = {"models"}}), "folder: " + not_here);
  EXPECT_EQ(why_not({.devices = {"test.org/gpu=0"}}), "device: " + not_here);
  const auto workspace = open_workspace();
  const auto sandbox = create(*workspace);
  EXPECT_EQ(run(*sandbox, "true").outcome.exit_code, 0);
  const auto kept = workspace->keep_layer("none");
  ASSERT_FALSE(kept.has_value());
  EXPECT_EQ(kept.error().code, base::ErrorCode::kUnavailable) << kept.error().to_string();
}

// Everything here and of layers once more, without root.
TEST(OrdinaryUserTest, HasTheSame) {
  if (::geteuid() != 0) GTEST_SKIP() << "that is who we are";
  constexpr uid_t kUser = 65'501;
  std::string home = (std::filesystem::temp_directory_path() / "airlock-user-XXXXXX").string();
  ASSERT_NE(::mkdtemp(home.data()), nullptr);
  ASSERT_EQ(::chown(home.c_str(), kUser, kUser), 0);
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command =
      "cd / && XDG_RUNTIME_DIR=" + home + " HOME=" + home + " TMPDIR=" + home +
      " exec setpriv --reuid 65501 --regid 65501 --clear-groups '" + self +
      "' --gtest_filter='Layers*:Folders*:Devices*' > " + home + "-log 2>&1";
  const int status = std::system(command.c_str());
  std::ifstream log(home + "-log");
  const std::string text((std::istreambuf_iterator<char>(log)), std::istreambuf_iterator<char>());
  EXPECT_EQ(status, 0) << text;
  EXPECT_NE(text.find("[==========] 22 tests from 3 test suites ran."), std::string::npos) << text;
  std::filesystem::remove_all(home);
  std::filesystem::remove(home + "-log");
}

}  // namespace
}  // namespace airlock::backend::native
