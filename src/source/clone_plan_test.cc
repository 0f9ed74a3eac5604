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
  EXPECT_EQ(plan->limits.wall_time, std::chrono::seconds(600));
  EXPECT_TRUE(model::validate(plan->limits).has_value());
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
  const model::JobSpec spec = spec_of("git@github.com:o/n");
  EXPECT_EQ(make_clone_plan(spec, {}).error().message, "repositories over ssh are not set up here");
  SourceKnobs knobs;
  knobs.ssh =
      SshKnobs{.known_hosts = "/etc/ssh/known", .identity = "", .proxy_command = "nc %h %p"};
  const auto plan = make_clone_plan(spec, knobs);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->destinations, (std::vector<Destination>{{"github.com", 22}}));
  const auto command = std::ranges::find_if(
      plan->env, [](const std::string& entry) { return entry.starts_with("GIT_SSH_COMMAND="); });
  ASSERT_NE(command, plan->env.end());
  EXPECT_NE(command->find("BatchMode=yes"), std::string::npos);
  EXPECT_NE(command->find("StrictHostKeyChecking=yes"), std::string::npos);
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

  base::Result<ClonePlan> plan(const std::string& branch, const std::string& commit = "") const {
    SourceKnobs knobs;
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
