#include "sys/landlock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace airlock::sys {
namespace {

LandlockOutcome restrict_with_landlock(int abi, std::span<const LandlockTree> trees,
                                       LandlockScope scope) {
  LandlockOutcome outcome;
  const int ruleset = make_landlock_ruleset(abi, trees, scope, &outcome);
  if (ruleset < 0) return outcome;
  outcome.error = enter_landlock(ruleset);
  close(ruleset);
  return outcome;
}

// A folder with `read/file`, `write/` and `hidden/file`.
class LandlockTest : public testing::Test {
 protected:
  void SetUp() override {
    // A kernel without Landlock is a supported host, with this wall missing; here it is required.
    ASSERT_GE(landlock_abi(), 1) << "this kernel has no Landlock";
    std::string pattern = (std::filesystem::temp_directory_path() / "landlockXXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const char* name : {"/read", "/write", "/hidden"}) {
      ASSERT_EQ(mkdir((folder_ + name).c_str(), 0755), 0);
    }
    make_file("/read/file");
    make_file("/hidden/file");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const char* name) const { return folder_ + name; }

  void make_file(const char* name) const {
    const int fd = open(path(name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    ASSERT_GE(fd, 0);
    close(fd);
  }

  // The exit code of `body` in a child that sees `trees`; 90 when it could not be confined.
  static int run_confined(const std::vector<LandlockTree>& trees, LandlockScope scope,
                          const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      _exit(restrict_with_landlock(landlock_abi(), trees, scope).error == 0 ? body() : 90);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
  }

  // The errno of opening a file in a child that may read /read and write /write.
  int errno_of_open(const char* name, int flags) const {
    const std::string read = path("/read");
    const std::string write = path("/write");
    const std::string file = path(name);
    return run_confined({{.path = read.c_str(), .rights = LandlockRights::kReadExecute},
                         {.path = write.c_str(), .rights = LandlockRights::kReadWrite}},
                        LandlockScope::kOpen, [&] {
                          return open(file.c_str(), flags | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
                        });
  }

  std::string folder_;
};

TEST(LandlockRightsTest, EachAbiKnowsItsOwnRights) {
  EXPECT_EQ(landlock_handled_rights(0), 0u);
  EXPECT_EQ(std::popcount(landlock_handled_rights(1)), 13);
  EXPECT_EQ(std::popcount(landlock_handled_rights(2)), 14);
  EXPECT_EQ(std::popcount(landlock_handled_rights(4)), 15);
  EXPECT_EQ(std::popcount(landlock_handled_rights(7)), 16);
  for (int abi = 1; abi <= 7; ++abi) {
    const std::uint64_t granted = landlock_granted_rights(LandlockRights::kReadWriteExecute, abi);
    EXPECT_EQ(granted & ~landlock_handled_rights(abi), 0u);
  }
}

TEST_F(LandlockTest, GrantedTreesOpenAndOthersDoNot) {
  EXPECT_EQ(errno_of_open("/read/file", O_RDONLY), 0);
  EXPECT_EQ(errno_of_open("/write/new", O_CREAT | O_RDWR), 0);
  EXPECT_EQ(errno_of_open("/read/file", O_WRONLY), EACCES);
  EXPECT_EQ(errno_of_open("/read/new", O_CREAT | O_RDWR), EACCES);
  EXPECT_EQ(errno_of_open("/hidden/file", O_RDONLY), EACCES);
  EXPECT_EQ(open(path("/hidden/file").c_str(), O_RDONLY | O_CLOEXEC) >= 0, true) << "the control";
}

TEST_F(LandlockTest, SingleFileAndDescriptorCanBeGranted) {
  const std::string file = path("/hidden/file");
  const int fd = open(path("/read").c_str(), O_PATH | O_CLOEXEC);
  const std::string readable = path("/read/file");
  EXPECT_EQ(run_confined({{.path = file.c_str(), .rights = LandlockRights::kReadWrite},
                          {.fd = fd, .rights = LandlockRights::kRead}},
                         LandlockScope::kOpen,
                         [&] {
                           if (open(file.c_str(), O_RDWR | O_CLOEXEC) < 0) return 1;
                           return open(readable.c_str(), O_RDONLY | O_CLOEXEC) < 0 ? 2 : 0;
                         }),
            0);
  close(fd);
}

TEST_F(LandlockTest, OptionalTreeMayBeMissing) {
  const LandlockTree trees[] = {{.path = "/", .rights = LandlockRights::kRead},
                                {.path = "/no/such/path", .optional = true}};
  EXPECT_EQ(run_confined({trees[0], trees[1]}, LandlockScope::kOpen, [] { return 0; }), 0);
}

TEST_F(LandlockTest, TreeAtFaultIsNamed) {
  const pid_t child = fork();
  if (child == 0) {
    const LandlockTree trees[] = {{.path = "/"}, {.path = "/no/such/path"}};
    const LandlockOutcome outcome =
        restrict_with_landlock(landlock_abi(), trees, LandlockScope::kOpen);
    _exit(outcome.error == ENOENT && outcome.tree_index == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(LandlockTest, FilesMoveBetweenFoldersOfWritableTrees) {
  if (landlock_abi() < 2) return;  // ABI 1 always refuses this
  const std::string write = path("/write");
  const std::string from = path("/write/a/file");
  const std::string to = path("/write/b/file");
  mkdir(path("/write/a").c_str(), 0755);
  mkdir(path("/write/b").c_str(), 0755);
  make_file("/write/a/file");
  EXPECT_EQ(run_confined({{.path = write.c_str(), .rights = LandlockRights::kReadWrite}},
                         LandlockScope::kOpen,
                         [&] { return rename(from.c_str(), to.c_str()) == 0 ? 0 : errno; }),
            0);
}

TEST_F(LandlockTest, SignalsDoNotLeaveAConfinedDomain) {
  if (landlock_abi() < 6) return;  // the pid namespace alone keeps signals in
  const pid_t outsider = fork();
  if (outsider == 0) {
    pause();
    _exit(0);
  }
  const auto signal_outsider = [&] { return kill(outsider, 0) == 0 ? 0 : errno; };
  EXPECT_EQ(run_confined({{.path = "/"}}, LandlockScope::kConfined, signal_outsider), EPERM);
  EXPECT_EQ(run_confined({{.path = "/"}}, LandlockScope::kOpen, signal_outsider), 0);
  kill(outsider, SIGKILL);
  waitpid(outsider, nullptr, 0);
}

TEST_F(LandlockTest, SignalsStillComeIn) {
  if (landlock_abi() < 6) return;
  int ready[2];
  ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    const LandlockTree tree{.path = "/"};
    restrict_with_landlock(landlock_abi(), {&tree, 1}, LandlockScope::kConfined);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(kill(child, SIGTERM), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace airlock::sys
