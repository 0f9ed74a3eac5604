// Layers, on the real launcher: kept once, seen read-only by others, whole or not there.
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <algorithm>
#include <cerrno>

#include "backend/native/native_fixture.h"

namespace airlock::backend::native {
namespace {

class LayersNativeTest : public GrantsFixture {};

constexpr const char* kSmallBuild =
    "mkdir -p bin lib && printf '#!/bin/sh\\necho from the layer\\n' > bin/tool && chmod 755 "
    "bin/tool && echo data > lib/data && touch -d @1000000000.5 lib/data && ln -s ../lib/data "
    "bin/link";

TEST_F(LayersNativeTest, WhatABuildLeftIsSeenByOthers) {
  for (const std::uint64_t disk_mib : {16, 100}) {
    const std::string name = "layer_" + std::to_string(disk_mib);
    const auto kept = build_layer(name, kSmallBuild, disk_mib);
    ASSERT_TRUE(kept.has_value()) << kept.error().to_string();
    EXPECT_FALSE(kept->existed);
    EXPECT_EQ(kept->entries, 5u);
    EXPECT_GT(kept->bytes.count(), 0u);
    const Said said = run_with(
        {.layer = name}, "/build/bin/tool; cat /build/bin/link; stat -c %.1Y /build/lib/data");
    EXPECT_EQ(said.output, "from the layer\ndata\n1000000000.5\n");
    EXPECT_EQ(said.outcome.exit_code, 0);
  }
}

TEST_F(LayersNativeTest, TheUidsOfOneSlotAreNothingToAnother) {
  if (!is_root()) GTEST_SKIP() << "an ordinary user has one uid for all slots";
  const auto builder = open_workspace();
  const auto building = create(*builder);
  const Said built = run(*building,
                         "cd /build && mkdir secret && echo kept > secret/file && chmod 400 "
                         "secret/file && chmod 700 secret && cat /proc/self/uid_map");
  ASSERT_TRUE(builder->keep_layer("other_slot").has_value());
  // The builder's slot is still taken.
  const Said used =
      run_with({.layer = "other_slot"}, "cat /build/secret/file >&2; cat /proc/self/uid_map");
  ASSERT_TRUE(used.output.starts_with("kept\n")) << used.output;
  EXPECT_NE(used.output.substr(5), built.output) << "two slots";
}

TEST_F(LayersNativeTest, ALayerIsReadOnlyInEveryWay) {
  ASSERT_TRUE(build_layer("ro", kSmallBuild).has_value());
  const std::string tries[] = {"echo x > /build/new",
                               "echo x >> /build/lib/data",
                               "chmod 777 /build/lib/data",
                               "chmod 777 /build",
                               "mkdir /build/d",
                               "rm -f /build/lib/data",
                               "mv /build/lib /build/lib2",
                               "ln /build/lib/data /workspace/hard",
                               "ln -s x /build/x",
                               "touch /build/lib/data",
                               "truncate -s 0 /build/lib/data",
                               "mount -o remount,rw,bind /build",
                               "umount /build",
                               "mknod /build/null c 1 3"};
  const auto workspace = open_workspace();
  const auto sandbox = create(*workspace, {.layer = "ro"});
  for (const std::string& attempt : tries) {
    EXPECT_NE(run(*sandbox, attempt).outcome.exit_code, 0) << attempt;
  }
  const Said said = run(*sandbox, "cat /build/lib/data; grep ' /build ' /proc/self/mountinfo");
  EXPECT_TRUE(said.output.starts_with("data\n"));
  for (const char* option : {"ro", "nosuid", "nodev"}) {
    EXPECT_NE(said.output.find(option), std::string::npos) << said.output;
  }
}

// That the test above can fail.
TEST_F(LayersNativeTest, WithoutTheMountsFlagOnlyOwnersKeepALayerFromBeingWritten) {
  ASSERT_TRUE(build_layer("ro", kSmallBuild).has_value());
  ::setenv("AIRLOCK_JAIL_TEST_DISABLE", "layer_read_only", 1);
  start({}, "airlock-jail-testhooks");
  const Said said = run_with({.layer = "ro"}, "grep ' /build ' /proc/self/mountinfo");
  EXPECT_NE(said.output.find(" rw,"), std::string::npos) << said.output;
  if (!is_root()) return;
  // The second wall: the files are not the guest's.
  EXPECT_NE(run_with({.layer = "ro"}, "echo x > /build/new").outcome.exit_code, 0);
  EXPECT_NE(run_with({.layer = "ro"}, "echo x > /build/lib/data").outcome.exit_code, 0);
}

TEST_F(LayersNativeTest, AHostileTreeBecomesFoldersPlainFilesAndLinks) {
  const auto kept = build_layer(
      "hostile",
      "cp /bin/true suid && chmod 7777 suid && ln suid hard && mkfifo fifo && "
      "truncate -s 10G sparse && echo end >> sparse && ln -s /etc/shadow link && "
      "ln -s ../../../../../../etc/shadow up && mkdir closed && echo x > closed/file && "
      "chmod 0 closed/file closed && : > \"$(printf 'new\\nline')\" && : > \"$(printf '\\377')\" "
      "&& "
      ": > -rf && : > $(head -c 255 /dev/zero | tr '\\0' n) && "
      "(mknod null c 1 3 || mkdir no_nodes) && mkdir -p $(for i in $(seq 60); do printf d/; done)");
  ASSERT_TRUE(kept.has_value()) << kept.error().to_string();
  EXPECT_EQ(kept->skipped, 1u) << "the fifo";
  EXPECT_LT(kept->bytes.count(), 1u << 20) << "holes stay holes";
  std::size_t entries = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           layers() + "/hostile/tree", std::filesystem::directory_options::none)) {
    ++entries;
    struct stat status{};
    ASSERT_EQ(::lstat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, ::geteuid()) << entry.path();
    EXPECT_TRUE(S_ISDIR(status.st_mode) || S_ISREG(status.st_mode) || S_ISLNK(status.st_mode));
    if (S_ISLNK(status.st_mode)) continue;
    const mode_t mode = status.st_mode & 07777;
    EXPECT_TRUE(mode == 0755 || mode == 0444 || mode == 0555) << entry.path() << std::oct << mode;
    if (S_ISREG(status.st_mode)) EXPECT_EQ(status.st_nlink, 1u) << entry.path();
  }
  EXPECT_EQ(entries, kept->entries);
  const Said said = run_with({.layer = "hostile"},
                             "tail -c 4 /build/sparse; cat /build/closed/file; ls /build/no_nodes; "
                             "cat /build/link /build/up");
  EXPECT_TRUE(said.output.starts_with("end\nx\n")) << said.output;
  EXPECT_NE(said.outcome.exit_code, 0) << "a sandbox has no /etc/shadow: " << said.output;
}

TEST_F(LayersNativeTest, WhatIsTooDeepOrTooLargeIsRefusedAndLeavesNothing) {
  const auto deep = build_layer("deep", "for i in $(seq 80); do mkdir d && cd d; done");
  ASSERT_FALSE(deep.has_value());
  EXPECT_EQ(deep.error().code, base::ErrorCode::kLimitExceeded) << deep.error().to_string();
  // In the workspace the names of one file take nothing.
  const auto large = build_layer(
      "large", "head -c 1000000 /dev/zero > f && for i in $(seq 40); do ln f f$i; done");
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().code, base::ErrorCode::kLimitExceeded) << large.error().to_string();
  EXPECT_TRUE(in_layers().empty());
  const auto whole = build_layer("whole", "echo as before > f");
  EXPECT_TRUE(whole.has_value()) << whole.error().to_string();
}

TEST_F(LayersNativeTest, ALayerOfThatNameStaysAsItIs) {
  ASSERT_TRUE(build_layer("same", "echo first > f").has_value());
  const auto again = build_layer("same", "echo second > f");
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->existed);
  EXPECT_EQ(run_with({.layer = "same"}, "cat /build/f").output, "first\n");
}

TEST_F(LayersNativeTest, LayersAreListedAndRemovedButNotUnderTheirUsers) {
  EXPECT_EQ(*backend_->has_layer("one"), false);
  ASSERT_TRUE(build_layer("one", "head -c 100000 /dev/urandom > f").has_value());
  ASSERT_TRUE(build_layer("two", "echo x > f").has_value());
  auto listed = backend_->list_layers();
  ASSERT_TRUE(listed.has_value());
  std::ranges::sort(*listed, {}, &LayerInfo::name);
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ((*listed)[0].name, "one");
  EXPECT_GE((*listed)[0].bytes.count(), 100'000u);
  EXPECT_EQ(*backend_->has_layer("one"), true);
  {
    const auto workspace = open_workspace();
    const auto sandbox = create(*workspace, {.layer = "one"});
    EXPECT_EQ(run(*sandbox, "test -f /build/f").outcome.exit_code, 0);
    const auto refused = backend_->remove_layer("one");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, base::ErrorCode::kBusy) << refused.error().to_string();
    EXPECT_EQ(run(*sandbox, "test -f /build/f").outcome.exit_code, 0);
  }
  const auto used = backend_->list_layers();
  const auto one = std::ranges::find(*used, "one", &LayerInfo::name);
  EXPECT_GT(one->used, (*listed)[0].used) << "its use is seen";
  EXPECT_TRUE(backend_->remove_layer("one").has_value());
  EXPECT_EQ(*backend_->has_layer("one"), false);
  EXPECT_EQ(backend_->remove_layer("one").error().code, base::ErrorCode::kNotFound);
  EXPECT_EQ(in_layers(), std::vector<std::string>{"two"});
}

TEST_F(LayersNativeTest, WrongNamesAndMomentsAreRefused) {
  for (const std::string name : {"", "../x", "a/b", "A", ".new-1", "a b", "a\n", "."}) {
    const auto kept = build_layer(name, "true");
    ASSERT_FALSE(kept.has_value()) << name;
    EXPECT_EQ(kept.error().code, base::ErrorCode::kInvalidArgument) << name;
    EXPECT_FALSE(backend_->has_layer(name).has_value()) << name;
    EXPECT_FALSE(backend_->remove_layer(name).has_value()) << name;
    if (name.empty()) continue;  // that is none
    EXPECT_EQ(why_not({.layer = name}), "layer: " + std::to_string(EINVAL)) << name;
  }
  EXPECT_FALSE(build_layer(std::string(97, 'a'), "true").has_value());
  EXPECT_TRUE(build_layer(std::string(96, 'a'), "true").has_value());
  EXPECT_EQ(why_not({.layer = "unknown"}), "layer: " + std::to_string(ENOENT));
  ASSERT_TRUE(build_layer("base", "true").has_value());
  const auto workspace = open_workspace();
  const auto sandbox = create(*workspace, {.layer = "base"});
  EXPECT_EQ(run(*sandbox, "true").outcome.exit_code, 0);
  EXPECT_EQ(workspace->keep_layer("copy").error().os_errno, EROFS);
  auto sleeper = sandbox->exec(
      {.argv = {"/bin/sleep", "100"}, .env = {}, .cwd = "/", .limits = {}, .terminal = true}, {});
  ASSERT_TRUE(sleeper.has_value());
  EXPECT_EQ(workspace->keep_layer("busy").error().code, base::ErrorCode::kBusy);
}

TEST_F(LayersNativeTest, ADeathAtAnyMomentLeavesAWholeLayerOrNone) {
  for (const std::string point :
       {"layer_begun", "layer_written", "layer_synced", "layer_named", "layer_unnamed"}) {
    ::setenv("AIRLOCK_JAIL_TEST_CRASH", point.c_str(), 1);
    start({}, "airlock-jail-testhooks");
    const bool removing = point == "layer_unnamed";
    const auto kept = build_layer("dies", "echo whole > f");
    EXPECT_EQ(kept.has_value(), removing) << point;
    if (removing) EXPECT_FALSE(backend_->remove_layer("dies").has_value());
    ::unsetenv("AIRLOCK_JAIL_TEST_CRASH");
    start({});
    const bool whole = point == "layer_named";
    EXPECT_EQ(run_with({}, "true").outcome.exit_code, 0);
    EXPECT_EQ(*backend_->has_layer("dies"), whole) << point;
    EXPECT_EQ(in_layers().size(), whole ? 1u : 0u) << point << ": the rest is swept";
    if (!whole) continue;
    EXPECT_EQ(run_with({.layer = "dies"}, "cat /build/f").output, "whole\n");
    EXPECT_TRUE(backend_->remove_layer("dies").has_value());
  }
}

TEST_F(LayersNativeTest, ASweepTakesWhatNobodyHoldsAndNothingElse) {
  ASSERT_TRUE(build_layer("kept", "true").has_value());
  backend_.reset();
  for (const char* name : {"/.new-1", "/.old-kept", "/.new-2"}) {
    std::filesystem::create_directories(layers() + name + "/tree/below");
  }
  const base::UniqueFd writer(
      ::open((layers() + "/.new-2").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(writer.get(), LOCK_EX), 0);
  start({});
  EXPECT_EQ(run_with({}, "true").outcome.exit_code, 0);
  auto left = in_layers();
  std::ranges::sort(left);
  EXPECT_EQ(left, (std::vector<std::string>{".new-2", "kept"}));
  EXPECT_EQ(backend_->list_layers()->size(), 1u);
}

TEST_F(LayersNativeTest, AWorkspaceThatIsGivenUpWhileItsLayerIsKeptLeavesNothing) {
  ASSERT_TRUE(build_layer("there", "true").has_value());
  for (int round = 0; round < 5; ++round) {
    auto workspace = open_workspace();
    const auto sandbox = create(*workspace);
    run(*sandbox, "cd /build; for i in $(seq 500); do echo x > $i; done");
    const pid_t child = ::fork();
    if (child == 0) {
      (void)workspace->keep_layer("given_up");
      ::_exit(0);
    }
    ::usleep(1'000 * round);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  for (const std::string& name : in_layers()) {
    EXPECT_TRUE(name == "there" || name == "given_up") << name;
  }
}

}  // namespace
}  // namespace airlock::backend::native
