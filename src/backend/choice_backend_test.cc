// Which backend makes a sandbox when some cannot, and what is told of it.
#include "backend/choice_backend.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <tuple>

namespace airlock::backend {
namespace {

using enum model::IsolationLevel;
using std::chrono::milliseconds;

// What one backend is told to do, and what it was asked.
struct Behaviour {
  bool opens = true;
  bool creates = true;
  bool is_there = true;  // what it made answers
  bool lacks_image = false;
  int die = 0;  // so many of what it makes
  int opened = 0;
  base::ManualClock* clock = nullptr;
  std::chrono::nanoseconds takes{0};  // to open, as `clock` tells
};

class FakeProcess final : public Process {
 public:
  int event_fd() const override { return -1; }
  base::Result<std::optional<ProcessReport>> try_report() override { return ProcessReport(); }
  base::Result<ProcessReport> wait() override { return ProcessReport(); }
  base::Result<std::optional<base::UniqueFd>> try_terminal() override { return std::nullopt; }
  base::Status kill(model::KillReason) override { return {}; }
  base::Status terminate(model::KillReason, milliseconds) override { return {}; }
  base::Status signal(int) override { return {}; }
};

class FakeSandbox final : public Sandbox {
 public:
  base::Result<std::unique_ptr<Process>> exec(ProcessSpec, Stdio) override {
    return std::make_unique<FakeProcess>();
  }
};

class FakeWorkspace final : public Workspace {
 public:
  explicit FakeWorkspace(Behaviour& behaviour) : behaviour_(behaviour) {}
  bool is_alive() const override { return true; }
  base::Result<std::unique_ptr<Sandbox>> create_sandbox(SandboxSpec) override {
    if (!behaviour_.creates) return base::fail(base::ErrorCode::kUnavailable, "cannot create");
    return std::make_unique<FakeSandbox>();
  }
  base::Status put_file(InputFile) override { return {}; }
  base::Result<Collected> collect(CollectSpec) override {
    if (behaviour_.die > 0) {
      --behaviour_.die;
      return base::fail(base::errno_error("collect", ECHILD));
    }
    if (behaviour_.lacks_image) return base::fail(base::ErrorCode::kNotFound, "no such image");
    if (!behaviour_.is_there) return base::fail(base::ErrorCode::kUnavailable, "it is not there");
    return Collected{};
  }

 private:
  Behaviour& behaviour_;
};

class FakeBackend final : public Backend {
 public:
  explicit FakeBackend(Behaviour& behaviour) : behaviour_(behaviour) {}
  base::Result<std::unique_ptr<Workspace>> open_workspace(WorkspaceSpec spec) override {
    ++behaviour_.opened;
    if (behaviour_.clock != nullptr) behaviour_.clock->advance(behaviour_.takes);
    EXPECT_EQ(spec.least, kProcess) << "is for the choice alone";
    if (!behaviour_.opens) return base::fail(base::ErrorCode::kUnavailable, "cannot open");
    return std::make_unique<FakeWorkspace>(behaviour_);
  }

 private:
  Behaviour& behaviour_;
};

class ChoiceTest : public testing::Test {
 protected:
  ChoiceTest() {
    std::vector<ChoiceBackend::Candidate> candidates;
    candidates.push_back({"strong", std::make_unique<FakeBackend>(strong_), kKernel, true});
    candidates.push_back({"weak", std::make_unique<FakeBackend>(weak_), kContainer, false});
    choice_.emplace(
        std::move(candidates),
        [this](const std::string& from, const std::string& to, const std::string& reason) {
          told_.push_back(from + " > " + to + ": " + reason);
        },
        clock_);
  }

  // "BACKEND of the fallback: reason", or what went wrong.
  std::string run(model::IsolationLevel least = kProcess) {
    WorkspaceSpec spec;
    spec.least = least;
    auto workspace = choice_->open_workspace(spec);
    if (!workspace) return "not opened: " + workspace.error().message;
    auto sandbox = (*workspace)->create_sandbox({});
    if (!sandbox) return "not created: " + sandbox.error().message;
    auto process = (*sandbox)->exec({}, {});
    const auto report = (*process)->wait();
    return report->isolation.fallback_from + ": " + report->isolation.fallback_reason;
  }

  Behaviour strong_;
  Behaviour weak_;
  base::ManualClock clock_;
  std::vector<std::string> told_;
  std::optional<ChoiceBackend> choice_;
};

TEST_F(ChoiceTest, TheFirstIsTakenAndNothingIsSaid) {
  EXPECT_EQ(run(), ": ");
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(weak_.opened, 0);
  EXPECT_EQ(choice_->level(), kKernel);
}

TEST_F(ChoiceTest, WhatCannotOpenCreateOrAnswerIsPassedOver) {
  strong_.opens = false;
  EXPECT_EQ(run(), "strong: cannot open");
  clock_.advance(kBackendRest);
  strong_ = {.creates = false};
  EXPECT_EQ(run(), "strong: cannot create");
  clock_.advance(kBackendRest);
  strong_ = {.is_there = false};
  EXPECT_EQ(run(), "strong: it is not there");
  EXPECT_EQ(told_.size(), 3u);
  EXPECT_EQ(choice_->fallbacks(), 3u);
}

TEST_F(ChoiceTest, ASandboxThatWasReadyAndDiedIsMadeAgainByTheSame) {
  strong_.die = 2;
  EXPECT_EQ(run(), ": ");
  EXPECT_EQ(strong_.opened, 3);
  strong_.die = 100;
  EXPECT_EQ(run(), "strong: collect: No child processes") << "but not for ever";
  EXPECT_EQ(strong_.die, 95);
}

TEST_F(ChoiceTest, OneThatFailedRestsAndIsThenTriedAgain) {
  strong_.is_there = false;
  run();
  strong_.is_there = true;
  const int before = strong_.opened;
  EXPECT_EQ(run(), "strong: it is not there") << "the reason is that of its failure";
  EXPECT_EQ(strong_.opened, before);
  EXPECT_EQ(told_.size(), 1u) << "said once, counted each time";
  EXPECT_EQ(choice_->fallbacks(), 2u);
  clock_.advance(kBackendRest);
  EXPECT_EQ(run(), ": ");
}

TEST_F(ChoiceTest, OneThatHangsRestsLonger) {
  strong_ = {.opens = false, .clock = &clock_, .takes = std::chrono::seconds(4)};
  run();
  clock_.advance(std::chrono::seconds(19));
  run();
  EXPECT_EQ(strong_.opened, 1);
  clock_.advance(std::chrono::seconds(1));
  strong_.takes = std::chrono::hours(1);
  run();
  EXPECT_EQ(strong_.opened, 2);
  strong_ = {};
  clock_.advance(kBackendRestMax);
  EXPECT_EQ(run(), ": ");
}

TEST_F(ChoiceTest, NothingWeakerThanWhatIsAskedForStandsIn) {
  strong_.is_there = false;
  EXPECT_EQ(run(kKernel), "not created: strong: it is not there");
  EXPECT_EQ(weak_.opened, 0);
  strong_.is_there = true;
  EXPECT_EQ(run(kKernel), ": ") << "the last one that will do is tried whatever it did";
}

TEST_F(ChoiceTest, WithNobodyLeftTheReasonIsTheFirstOnes) {
  strong_.opens = weak_.opens = false;
  EXPECT_EQ(run(), "not opened: strong: cannot open");
}

// "first", which has no images, then "one" and "two", which have, then "last", which has none.
class ChoiceOfImagesTest : public testing::Test {
 protected:
  ChoiceOfImagesTest() {
    std::vector<ChoiceBackend::Candidate> candidates;
    for (const auto& [name, behaviour, has_images] : {std::tuple("first", &first_, false),
                                                      {"one", &one_, true},
                                                      {"two", &two_, true},
                                                      {"last", &last_, false}}) {
      candidates.push_back(
          {name, std::make_unique<FakeBackend>(*behaviour), kContainer, true, has_images});
    }
    choice_.emplace(std::move(candidates), nullptr, clock_);
  }

  // Who was asked for a workspace, in the end, or what went wrong.
  std::string run(const std::string& image) {
    for (Behaviour* all : {&first_, &one_, &two_, &last_}) all->opened = 0;
    auto workspace = choice_->open_workspace({});
    if (!workspace) return "not opened: " + workspace.error().message;
    auto sandbox = (*workspace)->create_sandbox({.image = image});
    if (!sandbox) return "not created: " + sandbox.error().message;
    if (last_.opened > 0) return "last";
    if (two_.opened > 0) return "two";
    return one_.opened > 0 ? "one" : "first";
  }

  Behaviour first_;
  Behaviour one_;
  Behaviour two_;
  Behaviour last_;
  base::ManualClock clock_;
  std::optional<ChoiceBackend> choice_;
};

TEST_F(ChoiceOfImagesTest, OnlyWhoHasImagesMakesASandboxOfOne) {
  EXPECT_EQ(run("tools"), "one");
  EXPECT_EQ(run(""), "first");
  one_.is_there = false;
  EXPECT_EQ(run("tools"), "two");
  two_.opens = false;
  EXPECT_EQ(run("tools"), "not created: two: cannot open") << "and not the last";
}

TEST_F(ChoiceOfImagesTest, AnImageThatIsNotThereIsNobodysFault) {
  one_.lacks_image = true;
  EXPECT_EQ(run("tools"), "not created: no such image");
  EXPECT_EQ(two_.opened, 0) << "it is the same dockerd";
  one_.lacks_image = false;
  EXPECT_EQ(run("tools"), "one") << "it does not rest";
}

TEST_F(ChoiceOfImagesTest, WhatHasBegunElsewhereHasNone) {
  auto workspace = choice_->open_workspace({});
  ASSERT_TRUE((*workspace)->create_sandbox({}).has_value());
  const auto sandbox = (*workspace)->create_sandbox({.image = "tools"});
  ASSERT_FALSE(sandbox.has_value());
  EXPECT_EQ(
      sandbox.error().message,
      "image tools is not to be had in first, which has stood in for Docker since this began");
}

}  // namespace
}  // namespace airlock::backend
