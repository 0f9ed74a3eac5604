#include "source/clone_plan.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <sstream>

#include "source/git_names.h"
#include "source/test_repository.h"

namespace airlock::source {
namespace {

model::JobSpec spec_of(const std::string& url, const std::string& branch = "main",
                       const std::string& commit = "") {
  model::JobSpec spec;
  spec.repo_url = url;
  spec.repo_branch = branch;
  spec.repo_commit = commit;
  return spec;
}

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::ranges::find(words, word) != words.end();
}

TEST(ClonePlanTest, ReachesTheHostOfTheRepositoryAndNothingElse) {
  const auto plan = make_clone_plan(spec_of("https://github.com/o/n"), {});
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  EXPECT_EQ(plan->destinations, (std::vector<Destination>{{"github.com", 443}}));
  EXPECT_FALSE(plan->bind.has_value());
  EXPECT_TRUE(plan->files.empty());
  EXPECT_EQ(plan->timeout_error, "Repository clone timeout after 600 seconds");
  EXPECT_TRUE(has(plan->env, "GIT_TERMINAL_PROMPT=0"));
  EXPECT_TRUE(has(plan->env, "GIT_CONFIG_GLOBAL=/dev/null"));
  EXPECT_TRUE(has(plan->env, "GIT_ALLOW_PROTOCOL=https"));
}

// Every word of a user is behind "--" or in a refspec or revision.
TEST(ClonePlanTest, WordsOfACallerAreNeverOptions) {
  const auto plan =
      make_clone_plan(spec_of("https://github.com/o/n", "caller/branch", std::string(40, 'a')), {});
  ASSERT_TRUE(plan.has_value());
  for (const CloneStep& step : plan->steps) {
    const auto dashes = std::ranges::find(step.argv, "--");
    for (auto word = step.argv.begin(); word != dashes; ++word) {
      EXPECT_EQ(word->find("github.com"), std::string::npos);
      EXPECT_EQ(word->find("caller"), std::string::npos);
      const bool is_revision = word->find("aaaaaaa") != std::string::npos;
      EXPECT_TRUE(!is_revision || word->ends_with("^{commit}")) << *word;
    }
  }
}

TEST(ClonePlanTest, SshNeedsKnownHosts) {
  const auto refused = make_clone_plan(spec_of("git@github.com:o/n"), {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message, "repositories over ssh are not set up here");
  EXPECT_NE(refused.error().hint.find("source.ssh_known_hosts_file"), std::string::npos);
}

// What runs next must not find it, even where the clone itself failed half way.
TEST(ClonePlanTest, TheKeyIsGoneWhenTheStepsAreDone) {
  SourceKnobs knobs;
  knobs.ssh = SshKnobs{.known_hosts = "github.com ssh-ed25519 AAAA\n", .key = "the key\n"};
  const auto plan = make_clone_plan(spec_of("git@github.com:o/n"), knobs);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->destinations, (std::vector<Destination>{{"github.com", 22}}));
  EXPECT_TRUE(has(plan->env, "GIT_SSH_COMMAND=/bin/bash /tmp/airlock-ssh/ssh"));
  const auto key = std::ranges::find(plan->files, "the key\n", &PlanFile::text);
  ASSERT_NE(key, plan->files.end());
  EXPECT_EQ(plan->steps.front().argv,
            (std::vector<std::string>{"/bin/chmod", "600", "--", key->path}));
  const CloneStep& last = plan->steps.back();
  EXPECT_TRUE(has(last.argv, "/tmp/airlock-ssh"));
  EXPECT_EQ(last.failure, CloneStep::Failure::kFatal);
  for (const PlanFile& file : plan->files) {
    EXPECT_TRUE(file.path.starts_with("/tmp/airlock-ssh/")) << file.path;
  }
  for (const std::string& entry : plan->env) EXPECT_EQ(entry.find("the key"), std::string::npos);
}

TEST(ClonePlanTest, DepthIsTheOperators) {
  const model::JobSpec spec = spec_of("https://github.com/o/n");
  const auto fetches_with = [&](std::uint32_t depth, const std::string& word) {
    SourceKnobs knobs;
    knobs.depth = depth;
    const auto plan = make_clone_plan(spec, knobs);
    return std::ranges::any_of(plan->steps,
                               [&](const CloneStep& step) { return has(step.argv, word); });
  };
  EXPECT_TRUE(fetches_with(1, "--depth=1"));
  EXPECT_TRUE(fetches_with(50, "--depth=50"));
  EXPECT_FALSE(fetches_with(0, "--depth=0"));
}

TEST(ClonePlanTest, AFailureOfSshNamesTheSettingThatMendsIt) {
  SourceKnobs knobs;
  knobs.ssh = SshKnobs{};
  const auto ssh = make_clone_plan(spec_of("git@github.com:o/n"), knobs);
  const auto https = make_clone_plan(spec_of("https://github.com/o/n"), knobs);
  const std::string unknown =
      "No ED25519 host key is known for github.com and you have requested strict checking.\n"
      "Host key verification failed.\n";
  const std::string known_hosts = "source.ssh_known_hosts_file";
  EXPECT_TRUE(explain_clone_failure(*ssh, unknown).starts_with("no key of github.com is in"));
  EXPECT_NE(explain_clone_failure(*ssh, unknown).find(known_hosts), std::string::npos);
  const std::string changed = explain_clone_failure(*ssh, "Host key verification failed.\n");
  EXPECT_TRUE(changed.starts_with("the host key of github.com is not the one")) << changed;
  EXPECT_NE(changed.find(known_hosts), std::string::npos);
  const std::string refused = "git@github.com: Permission denied (publickey).\n";
  EXPECT_NE(explain_clone_failure(*ssh, refused).find("source.ssh_key_file"), std::string::npos);
  EXPECT_EQ(explain_clone_failure(*ssh, "airlock: the way to github.com:22 is shut: 502\nfatal: x"),
            "the way to github.com:22 is shut: 502");
  EXPECT_EQ(explain_clone_failure(*ssh, "fatal: Could not read from remote repository."), "");
  EXPECT_EQ(explain_clone_failure(*https, unknown), "");
}

TEST(ClonePlanTest, EverythingThatACallerNamesIsChecked) {
  const std::string url = "https://github.com/o/n";
  EXPECT_FALSE(make_clone_plan(spec_of("https://evil/github.com"), {}).has_value());
  EXPECT_FALSE(make_clone_plan(spec_of(url, "--upload-pack=id"), {}).has_value());
  EXPECT_FALSE(make_clone_plan(spec_of(url, "main", "HEAD~1"), {}).has_value());
  model::JobSpec spec = spec_of(url);
  spec.repo_path = "../..";
  EXPECT_FALSE(make_clone_plan(spec, {}).has_value());
}

// The plan, executed by the real git on repositories that somebody hostile has made.
class CloneTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string source = folder_.at("source");
    git({"init", "-q", "-b", "main", source});
    folder_.write("source/inference.py", "print(1)\n");
    folder_.write("source/-rf", "a name like an option\n");
    folder_.write("source/.gitattributes", "* filter=lfs diff=lfs\n");
    folder_.write("source/.gitmodules",
                  "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c touch% " + canary() + "\n");
    std::filesystem::create_symlink("/etc/passwd", source + "/link");
    commit("first");
    first_ = head();
    folder_.write("source/inference.py", "print(2)\n");
    commit("second");
    second_ = head();
    git({"-C", source, "update-ref", "refs/heads/-evil", "HEAD"});
    git({"-C", source, "update-ref", "refs/heads/abcdef1", "HEAD"});
    git({"clone", "-q", "--mirror", source, repository()});
    git({"-C", repository(), "update-server-info"});
    git({"init", "-q", "-b", "main", folder_.at("lib")});
    folder_.write("lib/lib.txt", "of another repository\n");
    git({"-C", folder_.at("lib"), "add", "-A"});
    git({"-C", folder_.at("lib"), "commit", "-q", "-m", "lib"});
    git({"clone", "-q", "--mirror", folder_.at("lib"), folder_.at("roots/lib.git")});
    std::filesystem::create_directories(folder_.at("work"));
    std::filesystem::create_directories(folder_.at("tmp"));
  }

  std::string repository() const { return folder_.at("roots/name.git"); }
  std::string canary() const { return folder_.at("canary"); }

  // The author's git; the test fails if it does.
  std::string git(std::vector<std::string> words) const {
    words.insert(words.begin(), {"git", "-c", "user.name=a", "-c", "user.email=a@b", "-c",
                                 "commit.gpgsign=false", "-c", "protocol.file.allow=always"});
    const Ended ended = run_command(words, {"PATH=/usr/bin:/bin", "HOME=/nonexistent"}, "/");
    EXPECT_EQ(ended.status, 0) << words.back();
    return ended.printed;
  }
  void commit(const std::string& message) const {
    git({"-C", folder_.at("source"), "add", "-A"});
    git({"-C", folder_.at("source"), "commit", "-q", "-m", message});
  }
  std::string head() const {
    return git({"-C", folder_.at("source"), "rev-parse", "HEAD"}).substr(0, 40);
  }

  enum class Submodules { kLeft, kFetched };
  base::Result<ClonePlan> plan(const std::string& branch, const std::string& commit = "",
                               Submodules submodules = Submodules::kLeft) const {
    SourceKnobs knobs;
    knobs.submodules = submodules == Submodules::kFetched;
    knobs.file_roots = {folder_.at("roots")};
    return make_clone_plan(spec_of("file://" + repository(), branch, commit), knobs,
                           {.workspace = folder_.at("work"),
                            .scratch = folder_.at("tmp"),
                            .repository = repository()});
  }

  // The resolved commit, or the error text of the step that failed.
  std::string clone(const ClonePlan& plan, const std::vector<std::string>& more_env = {}) const {
    std::vector<std::string> env = plan.env;
    env.insert(env.end(), more_env.begin(), more_env.end());
    std::string resolved;
    bool previous_failed = false;
    for (const CloneStep& step : plan.steps) {
      if (step.when == CloneStep::When::kPreviousFailed && !previous_failed) continue;
      const Ended ended = run_command(step.argv, env, folder_.at("work"));
      previous_failed = ended.status != 0;
      if (previous_failed && step.failure == CloneStep::Failure::kFatal) return step.error_prefix;
      if (step.output == CloneStep::Output::kCommit) {
        const auto commit = parse_resolved_commit(ended.printed, plan.commit);
        resolved = commit.has_value() ? *commit : commit.error().message;
      }
    }
    return resolved;
  }
  std::string program() const {
    std::ostringstream text;
    text << std::ifstream(folder_.at("work/inference.py")).rdbuf();
    return text.str();
  }

  TemporaryFolder folder_;
  std::string first_;
  std::string second_;
};

TEST_F(CloneTest, ABranchIsCheckedOutWithoutItsHistory) {
  const auto made = plan("main");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(made->bind->below, "name.git");
  EXPECT_TRUE(made->destinations.empty());
  EXPECT_EQ(clone(*made), second_);
  EXPECT_EQ(program(), "print(2)\n");
  EXPECT_FALSE(std::filesystem::exists(folder_.at("work/.git")));
  EXPECT_TRUE(std::filesystem::is_symlink(folder_.at("work/link")));
  EXPECT_TRUE(std::filesystem::exists(folder_.at("work/-rf")));
  EXPECT_FALSE(std::filesystem::exists(canary()));
}

TEST_F(CloneTest, ACommitIsTakenByItsWholeNameOrByItsBeginning) {
  EXPECT_EQ(clone(*plan("main", first_)), first_);
  EXPECT_EQ(program(), "print(1)\n");
  std::filesystem::remove_all(folder_.at("work"));
  std::filesystem::create_directories(folder_.at("work"));
  EXPECT_EQ(clone(*plan("main", first_.substr(0, 8))), first_);
  EXPECT_EQ(program(), "print(1)\n");
}

TEST_F(CloneTest, ABranchNamedLikeACommitIsNotTakenForOne) {
  EXPECT_EQ(clone(*plan("main", "abcdef1")), "Git checkout failed: ");
  EXPECT_EQ(clone(*plan("main", std::string(40, 'a'))), "Git checkout failed: ");
}

TEST_F(CloneTest, WhatIsNotThereFailsWithTheTextOfTheContract) {
  EXPECT_EQ(clone(*plan("no-such-branch")), "Git clone failed: ");
  std::filesystem::remove_all(repository());
  EXPECT_EQ(clone(*plan("main")), "Git clone failed: ");
}

TEST_F(CloneTest, SubmodulesAreFetchedOnlyIfTheOperatorSaysSo) {
  const std::string source = folder_.at("source");
  git({"clone", "-q", folder_.at("roots/lib.git"), source + "/lib"});
  folder_.write("source/.gitmodules", "[submodule \"l\"]\n\tpath = lib\n\turl = ../lib.git\n");
  commit("with a submodule");
  git({"-C", source, "push", "-q", "-f", repository(), "main"});
  EXPECT_EQ(clone(*plan("main")), head());
  EXPECT_FALSE(std::filesystem::exists(folder_.at("work/lib/lib.txt")));
  std::filesystem::remove_all(folder_.at("work"));
  std::filesystem::create_directories(folder_.at("work"));
  EXPECT_EQ(clone(*plan("main", "", Submodules::kFetched)), head());
  EXPECT_TRUE(std::filesystem::exists(folder_.at("work/lib/lib.txt")));
}

TEST_F(CloneTest, ASubmoduleComesByTheProtocolOfItsRepositoryAndNoOther) {
  git({"clone", "-q", folder_.at("roots/lib.git"), folder_.at("source/lib")});
  folder_.write("source/.gitmodules",
                "[submodule \"l\"]\n\tpath = lib\n\turl = ext::sh -c touch% " + canary() + "\n");
  commit("with a program for a submodule");
  git({"-C", folder_.at("source"), "push", "-q", "-f", repository(), "main"});
  EXPECT_EQ(clone(*plan("main", "", Submodules::kFetched)), "Git checkout failed: ");
  EXPECT_FALSE(std::filesystem::exists(canary()));
}

// A hook, a filter or a setting that somebody has put where git looks for them.
TEST_F(CloneTest, NothingOfTheHostsOrTheRepositorysIsExecuted) {
  const std::string evil = "#!/bin/sh\ntouch " + canary() + "\n";
  folder_.write("hooks/post-checkout", evil);
  ::chmod(folder_.at("hooks/post-checkout").c_str(), 0755);
  folder_.write("template/hooks/post-checkout", evil);
  ::chmod(folder_.at("template/hooks/post-checkout").c_str(), 0755);
  folder_.write("tmp/.gitconfig", "[core]\n\thooksPath = " + folder_.at("hooks") +
                                      "\n[filter \"lfs\"]\n\tsmudge = touch " + canary() +
                                      "\n\tprocess = touch " + canary() + "\n");
  folder_.write("roots/name.git/hooks/post-checkout", evil);
  EXPECT_EQ(clone(*plan("main"), {"GIT_TEMPLATE_DIR=" + folder_.at("template")}), second_);
  EXPECT_FALSE(std::filesystem::exists(canary()));
}

// As in a sandbox, where the repository belongs to somebody else.
TEST_F(CloneTest, ARepositoryOfAnotherUserIsRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  run_command({"chown", "-R", "12345", repository()}, {"PATH=/usr/bin:/bin"}, "/");
  EXPECT_EQ(clone(*plan("main")), second_);
}

}  // namespace
}  // namespace airlock::source
