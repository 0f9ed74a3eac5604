#include "source/ssh_files.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "source/test_repository.h"

namespace airlock::source {
namespace {

class SshFilesTest : public testing::Test {
 protected:
  // The files as they lie in the sandbox, and git's call of them for `host`.
  Ended call(const SshKnobs& knobs, const std::string& option, const std::string& host) const {
    for (const PlanFile& file : ssh_files(ssh_folder(), knobs)) {
      folder_.write(std::filesystem::path(file.path).lexically_relative(folder_.at("")), file.text);
    }
    return run_command({"/bin/sh", "-c", ssh_command(ssh_folder()) + " \"$@\"", "sh", option, host,
                        "git-upload-pack '/job.git'"},
                       {"PATH=/usr/bin:/bin", "HOME=/nonexistent"}, folder_.at(""));
  }
  std::string ssh_folder() const { return folder_.at("ssh"); }

  TemporaryFolder folder_;
};

// As the host's own ssh understands the file.
TEST_F(SshFilesTest, NothingIsTakenOnTrustAndNobodyIsAsked) {
  const Ended said = call({.known_hosts = "h ssh-ed25519 AAAA\n", .key = "k"}, "-G", "git@h.test");
  ASSERT_EQ(said.status, 0);
  for (const std::string& line :
       {std::string("batchmode yes"), std::string("stricthostkeychecking true"),
        "userknownhostsfile " + ssh_folder() + "/known_hosts",
        std::string("globalknownhostsfile /dev/null"), "identityfile " + ssh_folder() + "/key",
        std::string("identitiesonly yes"), std::string("forwardagent no"),
        std::string("updatehostkeys false"),
        "proxycommand /bin/bash " + ssh_folder() + "/connect %h %p"}) {
    EXPECT_NE(said.printed.find("\n" + line + "\n"), std::string::npos) << line << said.printed;
  }
}

TEST_F(SshFilesTest, WithoutAKeyNoneIsLookedFor) {
  const Ended said = call({.known_hosts = "h ssh-ed25519 AAAA\n", .key = ""}, "-G", "git@h.test");
  EXPECT_NE(said.printed.find("\nidentityfile none\n"), std::string::npos) << said.printed;
  EXPECT_FALSE(std::filesystem::exists(ssh_folder() + "/key"));
}

// What a .gitmodules of somebody hostile could name: a shell sees the host.
TEST_F(SshFilesTest, AHostIsNeverAProgram) {
  for (const std::string& host :
       {std::string("git@a`touch canary`"), std::string("git@$(touch canary)"),
        std::string("a;touch canary"), std::string("git@-oProxyCommand=touch"), std::string("a'b"),
        std::string("git@")}) {
    EXPECT_NE(call({}, "-G", host).status, 0) << host;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.at("canary")));
}

TEST_F(SshFilesTest, AKeyEndsWithALineBreak) {
  const auto text_of_key = [](const std::string& key) {
    for (const PlanFile& file : ssh_files("/f", {.known_hosts = "", .key = key})) {
      if (file.path == ssh_key_path("/f")) return file.text;
    }
    return std::string("none");
  };
  EXPECT_EQ(text_of_key("a\nb"), "a\nb\n");
  EXPECT_EQ(text_of_key("a\nb\n"), "a\nb\n");
}

}  // namespace
}  // namespace airlock::source
