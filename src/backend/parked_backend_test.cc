#include "backend/parked_backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>

namespace airlock::backend {
namespace {

using std::chrono::milliseconds;

// Counts what is there. Atomic: the backend's own thread makes and destroys, too.
struct Counts {
  std::atomic<int> workspaces = 0;
  std::atomic<int> sandboxes = 0;
  std::atomic<int> opened = 0;
  std::atomic<int> created = 0;
  std::atomic<bool> fails = false;
  std::atomic<bool> hangs = false;  // whoever opens one, until it is false again
  std::atomic<bool> dead = false;   // of those that exist now, and of later ones
};

class CountedSandbox final : public Sandbox {
 public:
  explicit CountedSandbox(Counts& counts) : counts_(counts) { ++counts_.sandboxes; }
  ~CountedSandbox() override { --counts_.sandboxes; }
  base::Result<std::unique_ptr<Process>> exec(ProcessSpec, Stdio) override {
    return base::fail(base::ErrorCode::kUnavailable, "nothing runs here");
  }

 private:
  Counts& counts_;
};

class CountedWorkspace final : public Workspace {
 public:
  explicit CountedWorkspace(Counts& counts) : counts_(counts), number_(counts.opened++) {
    ++counts_.workspaces;
  }
  ~CountedWorkspace() override {
    EXPECT_EQ(alive_sandboxes(), 0) << "a sandbox outlived its workspace";
    --counts_.workspaces;
  }
  bool is_alive() const override { return !counts_.dead; }
  base::Result<std::unique_ptr<Sandbox>> create_sandbox(SandboxSpec) override {
    ++counts_.created;
    auto sandbox = std::make_unique<CountedSandbox>(counts_);
    return sandbox;
  }
  // The number of the workspace, so that a test can tell them apart.
  base::Status put_file(InputFile) override {
    return base::fail(base::ErrorCode::kIo, std::to_string(number_));
  }
  base::Result<Collected> collect(CollectSpec) override { return Collected{}; }

 private:
  int alive_sandboxes() const { return counts_.sandboxes > counts_.workspaces ? 1 : 0; }

  Counts& counts_;
  int number_;
};

class CountedBackend final : public Backend {
 public:
  explicit CountedBackend(Counts& counts) : counts_(counts) {}
  base::Result<std::unique_ptr<Workspace>> open_workspace(WorkspaceSpec) override {
    if (counts_.fails) return base::fail(base::ErrorCode::kUnavailable, "no slot");
    while (counts_.hangs) std::this_thread::sleep_for(milliseconds(1));
    return std::make_unique<CountedWorkspace>(counts_);
  }

 private:
  Counts& counts_;
};

WorkspaceSpec usual() {
  return {.disk = base::mebibytes(64), .inodes = 1'000, .memory = {}, .reusable = false};
}

class ParkedBackendTest : public testing::Test {
 protected:
  void open(ParkedOptions options) {
    options.workspace = usual();
    backend_.emplace(std::make_unique<CountedBackend>(counts_), options, clock_);
  }
  // A condition that the backend's thread brings about.
  bool comes_true(const std::function<bool(const ParkedStats&)>& condition) {
    for (int i = 0; i < 10'000; ++i) {
      if (condition(backend_->stats())) return true;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return false;
  }
  bool comes_to_be_parked(std::uint32_t count) {
    return comes_true([&](const ParkedStats& stats) { return stats.parked == count; });
  }
  std::unique_ptr<Workspace> take(const WorkspaceSpec& spec = usual()) {
    auto workspace = backend_->open_workspace(spec);
    EXPECT_TRUE(workspace);
    return std::move(*workspace);
  }

  Counts counts_;
  base::SystemClock clock_;
  std::optional<ParkedBackend> backend_;
};

TEST_F(ParkedBackendTest, AParkedOneIsGivenOutWithItsSandboxAndOnlyOnce) {
  open({.parked_min = 3, .parked_max = 3});
  ASSERT_TRUE(comes_to_be_parked(3));
  std::vector<std::string> numbers;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(comes_true([](const ParkedStats& stats) { return stats.parked > 0; }));
    auto workspace = take();
    auto sandbox = workspace->create_sandbox({});
    ASSERT_TRUE(sandbox);
    numbers.push_back(workspace->put_file({}).error().message);
    sandbox->reset();
  }
  std::ranges::sort(numbers);
  EXPECT_TRUE(std::ranges::adjacent_find(numbers) == numbers.end());
  EXPECT_EQ(backend_->stats().hits, 20u);
  EXPECT_EQ(backend_->stats().misses, 0u);
  EXPECT_EQ(counts_.created, counts_.opened);
}

TEST_F(ParkedBackendTest, WhatHangsIsSeenByWorkThatMakesNoSteps) {
  open({.parked_min = 1, .parked_max = 1});
  ASSERT_TRUE(comes_to_be_parked(1));
  EXPECT_TRUE(comes_true([](const ParkedStats& stats) { return !stats.at_work; }));
  counts_.hangs = true;
  take().reset();
  EXPECT_TRUE(
      comes_true([](const ParkedStats& stats) { return stats.at_work && stats.parked == 0; }));
  std::this_thread::sleep_for(milliseconds(20));
  const std::uint64_t steps = backend_->stats().steps;
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(backend_->stats().steps, steps);
  EXPECT_TRUE(backend_->stats().at_work);
  counts_.hangs = false;
  EXPECT_TRUE(comes_true([&](const ParkedStats& stats) { return stats.steps > steps; }));
  EXPECT_TRUE(comes_true([](const ParkedStats& stats) { return !stats.at_work; }));
}

TEST_F(ParkedBackendTest, AnotherSpecIsMadeAsItComes) {
  open({.parked_min = 2, .parked_max = 2});
  ASSERT_TRUE(comes_to_be_parked(2));
  WorkspaceSpec large = usual();
  large.disk = base::mebibytes(128);
  const auto workspace = take(large);
  EXPECT_TRUE(workspace->create_sandbox({}));
  EXPECT_EQ(backend_->stats().misses, 1u);
  EXPECT_EQ(backend_->stats().hits, 0u);
}

TEST_F(ParkedBackendTest, AnotherProfileHasItsSandboxMadeOnceMore) {
  open({.parked_min = 2, .parked_max = 2});  // nothing is made for one that is taken
  ASSERT_TRUE(comes_to_be_parked(2));
  const auto workspace = take();
  const int created = counts_.created;
  const auto sandbox = workspace->create_sandbox({.seccomp_profile = "gpu"});
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(counts_.created, created + 1);
  EXPECT_EQ(backend_->stats().remade, 1u);
}

TEST_F(ParkedBackendTest, ASecondSandboxIsTheWorkspacesOwn) {
  open({.parked_min = 2, .parked_max = 2});  // nothing is made for one that is taken
  ASSERT_TRUE(comes_to_be_parked(2));
  const auto workspace = take();
  ASSERT_TRUE(workspace->create_sandbox({}));
  const int created = counts_.created;
  ASSERT_TRUE(workspace->create_sandbox({}));
  EXPECT_EQ(counts_.created, created + 1);
}

TEST_F(ParkedBackendTest, NothingIsMadeWhileRunsAreAliveAndHalfIsLeft) {
  open({.parked_min = 4, .parked_max = 4, .tick = milliseconds(1)});
  ASSERT_TRUE(comes_to_be_parked(4));
  auto first = take();
  auto second = take();
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_EQ(backend_->stats().parked, 2u);
  auto third = take();
  EXPECT_TRUE(comes_to_be_parked(4));
  first = take();
  second = take();
  third.reset();
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_EQ(backend_->stats().parked, 2u);
  first.reset();
  second.reset();
  EXPECT_TRUE(comes_to_be_parked(4));
}

TEST_F(ParkedBackendTest, ItKeepsAsManyAsWereAliveAtOnceAndGivesThemBackSlowly) {
  open({.parked_min = 1, .parked_max = 6, .tick = milliseconds(20)});
  {
    std::vector<std::unique_ptr<Workspace>> alive;
    for (int i = 0; i < 9; ++i) alive.push_back(take());
    EXPECT_TRUE(comes_to_be_parked(6));  // no more than parked_max
  }
  // Parked again are some while others are still given back.
  EXPECT_TRUE(comes_true(
      [](const ParkedStats& stats) { return stats.parked == 1 && stats.given_back >= 5; }));
  EXPECT_TRUE(comes_true([&](const ParkedStats&) { return counts_.workspaces == 1; }));
}

TEST_F(ParkedBackendTest, ADeadOneIsNotGivenOut) {
  open({.parked_min = 2, .parked_max = 2, .tick = milliseconds(10)});
  ASSERT_TRUE(comes_to_be_parked(2));
  counts_.dead = true;
  take();
  counts_.dead = false;
  EXPECT_EQ(backend_->stats().dead, 2u);
  EXPECT_EQ(backend_->stats().misses, 1u);
  EXPECT_TRUE(comes_to_be_parked(2));
}

TEST_F(ParkedBackendTest, AFailureIsTheCallersAndTriedAgainLater) {
  counts_.fails = true;
  open({.parked_min = 2, .parked_max = 2, .tick = milliseconds(10)});
  const auto workspace = backend_->open_workspace(usual());
  ASSERT_FALSE(workspace);
  EXPECT_EQ(workspace.error().message, "no slot");
  EXPECT_EQ(backend_->stats().alive, 0u);
  counts_.fails = false;
  EXPECT_TRUE(comes_to_be_parked(2));
}

TEST_F(ParkedBackendTest, ManyThreadsTakeAtOnceAndNothingIsLeft) {
  open({.parked_min = 2, .parked_max = 8, .tick = milliseconds(5)});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([this] {
        for (int run = 0; run < 500; ++run) EXPECT_TRUE(take()->create_sandbox({}));
      });
    }
  }
  EXPECT_EQ(backend_->stats().hits + backend_->stats().misses, 2'000u);
  backend_.reset();
  EXPECT_EQ(counts_.workspaces, 0);
  EXPECT_EQ(counts_.sandboxes, 0);
}

}  // namespace
}  // namespace airlock::backend
