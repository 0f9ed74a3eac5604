#include "runner/run_service.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

#include "runner/fake_backend.h"

namespace airlock::runner {
namespace {

using base::ErrorCode;
using model::OutcomeKind;
using std::chrono::milliseconds;

// What `done` was called with: by name, in order, and how often.
class Answers {
 public:
  void add(const std::string& name, base::Result<model::RunResult> result) {
    const std::lock_guard lock(mutex_);
    order_.push_back(name);
    ++counts_[name];
    results_.insert_or_assign(name, std::move(result));
    changed_.notify_all();
  }
  base::Result<model::RunResult>& wait_for(const std::string& name) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return results_.contains(name); });
    return results_.at(name);
  }
  std::vector<std::string> order() {
    const std::lock_guard lock(mutex_);
    return order_;
  }
  std::size_t most_often() {
    const std::lock_guard lock(mutex_);
    std::size_t most = 0;
    for (const auto& [name, count] : counts_) most = std::max(most, count);
    return most;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> order_;
  std::map<std::string, std::size_t> counts_;
  std::map<std::string, base::Result<model::RunResult>> results_;
};

class RunServiceTest : public testing::Test {
 protected:
  RunServiceTest() { ::signal(SIGPIPE, SIG_IGN); }

  void open(RunServiceOptions options) { service_.emplace(backend_, options, clock_); }
  base::Result<std::shared_ptr<RunTicket>> try_submit(const std::string& name,
                                                      const std::string& script,
                                                      WhenBusy when_busy = WhenBusy::kWait) {
    Submission submission;
    submission.request.spec.env = {"PATH=/usr/bin:/bin"};
    submission.request.spec.run = {.argv = {"sh", "-c", script}, .limits = {}};
    submission.when_busy = when_busy;
    submission.done = [this, name](base::Result<model::RunResult> result) {
      answers_.add(name, std::move(result));
    };
    return service_->submit(std::move(submission));
  }
  std::shared_ptr<RunTicket> submit(const std::string& name, const std::string& script) {
    auto ticket = try_submit(name, script);
    EXPECT_TRUE(ticket) << ticket.error().to_string();
    return ticket ? *ticket : nullptr;
  }
  // Until it has a slot: from then on it does not wait.
  std::shared_ptr<RunTicket> submit_running(const std::string& name, const std::string& script) {
    const auto started = service_->stats().started;
    auto ticket = submit(name, script);
    while (service_->stats().started == started) std::this_thread::sleep_for(milliseconds(1));
    return ticket;
  }
  OutcomeKind outcome_of(const std::string& name) {
    auto& result = answers_.wait_for(name);
    EXPECT_TRUE(result) << result.error().to_string();
    return result ? result->outcome.kind : OutcomeKind::kSetupFailed;
  }
  ErrorCode error_of(const std::string& name) {
    auto& result = answers_.wait_for(name);
    EXPECT_FALSE(result);
    return result ? ErrorCode::kIo : result.error().code;
  }

  FakeHost host_;
  FakeBackend backend_{host_};
  base::SystemClock clock_;
  Answers answers_;
  std::optional<RunService> service_;
};

TEST_F(RunServiceTest, ARunIsAnsweredWithItsResult) {
  open({});
  submit("a", "echo hi");
  EXPECT_EQ(outcome_of("a"), OutcomeKind::kExited);
  EXPECT_EQ(answers_.wait_for("a")->stdout_bytes, "hi\n");
  EXPECT_GT(answers_.wait_for("a")->timings.wait.count(), 0);
  service_->drain(milliseconds(10'000));
  const RunServiceStats stats = service_->stats();
  EXPECT_GE(stats.slots, 4u);
  EXPECT_EQ(stats.started, 1u);
  EXPECT_EQ(stats.finished, 1u);
  EXPECT_EQ(stats.running, 0u);
  EXPECT_EQ(stats.outcomes[static_cast<std::size_t>(OutcomeKind::kExited)], 1u);
  EXPECT_GT(stats.ran.sum_us, 0u);
  std::uint64_t counted = 0;
  for (const std::uint64_t bucket : stats.ran.buckets) counted += bucket;
  EXPECT_EQ(counted, 1u);
}

TEST_F(RunServiceTest, RunsBeginInTheOrderOfTheirSubmission) {
  open({.slots = 1});
  const auto blocker = submit_running("blocker", "sleep 100");
  std::vector<std::string> expected = {"blocker"};
  for (int i = 0; i < 8; ++i) submit(expected.emplace_back("run" + std::to_string(i)), "true");
  EXPECT_EQ(service_->stats().waiting, 8u);
  blocker->kill();
  answers_.wait_for("run7");
  EXPECT_EQ(answers_.order(), expected);
}

TEST_F(RunServiceTest, SlotsRunAtOnce) {
  open({.slots = 3});
  // Each waits for the others: alone none would end.
  const std::string folder = testing::TempDir() + "/run_service_" + std::to_string(::getpid());
  for (const char* name : {"a", "b", "c"}) {
    submit(name, "mkdir -p " + folder + " && touch " + folder + "/" + name + "; until [ $(ls " +
                     folder + " | wc -l) = 3 ]; do sleep 0.01; done");
  }
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(outcome_of(name), OutcomeKind::kExited);
  submit("tidy", "rm -r " + folder);
  EXPECT_EQ(outcome_of("tidy"), OutcomeKind::kExited);
}

TEST_F(RunServiceTest, WhoDoesNotWaitIsRefusedWhenEverySlotIsTaken) {
  open({.slots = 1});
  const auto blocker = submit_running("blocker", "sleep 100");
  const auto refused = try_submit("refused", "true", WhenBusy::kRefuse);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
  EXPECT_EQ(service_->stats().refused, 1u);
  blocker->kill();
  answers_.wait_for("blocker");
  // The slot is free before the answer is given.
  EXPECT_TRUE(try_submit("accepted", "true", WhenBusy::kRefuse));
  EXPECT_EQ(outcome_of("accepted"), OutcomeKind::kExited);
}

TEST_F(RunServiceTest, AFullQueueRefuses) {
  open({.slots = 1, .waiting_max = 2});
  const auto blocker = submit_running("blocker", "sleep 100");
  submit("a", "true");
  submit("b", "true");
  const auto refused = try_submit("c", "true");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
  blocker->kill();
  EXPECT_EQ(outcome_of("b"), OutcomeKind::kExited);
}

TEST_F(RunServiceTest, WaitingForTooLongIsBusy) {
  open({.slots = 2, .wait_max = milliseconds(50)});
  const auto first = submit_running("first", "sleep 100");
  const auto second = submit_running("second", "sleep 100");
  submit("a", "echo must not run");
  submit("b", "echo must not run");
  EXPECT_EQ(error_of("a"), ErrorCode::kBusy);
  EXPECT_EQ(error_of("b"), ErrorCode::kBusy);
  EXPECT_EQ(service_->stats().waited_out, 2u);
  EXPECT_EQ(service_->stats().started, 2u);
  first->kill();
  second->kill();
}

TEST_F(RunServiceTest, AWaitingRunThatIsCancelledNeverBegins) {
  open({.slots = 1});
  const auto blocker = submit_running("blocker", "sleep 100");
  const auto a = submit("a", "true");
  const auto b = submit("b", "true");
  b->cancel();
  EXPECT_EQ(error_of("b"), ErrorCode::kCancelled);
  a->kill();
  EXPECT_EQ(error_of("a"), ErrorCode::kCancelled);
  blocker->kill();
  answers_.wait_for("blocker");
  EXPECT_EQ(service_->stats().started, 1u);
  EXPECT_EQ(service_->stats().cancelled, 2u);
}

TEST_F(RunServiceTest, ARunningOneIsAskedToEndAndThenKilled) {
  open({.slots = 2});
  const auto willing = submit_running("willing", "sleep 100");
  willing->cancel();
  EXPECT_EQ(outcome_of("willing"), OutcomeKind::kCancelled);
  const auto deaf = submit_running("deaf", "trap '' TERM; while :; do sleep 0.01; done");
  deaf->cancel();
  deaf->cancel();
  EXPECT_EQ(outcome_of("deaf"), OutcomeKind::kCancelled);
  willing->cancel();  // it has ended: nothing happens
  EXPECT_EQ(answers_.most_often(), 1u);
}

TEST_F(RunServiceTest, ATicketMayOutliveTheService) {
  open({.slots = 1});
  const auto running = submit_running("running", "trap '' TERM; while :; do sleep 0.01; done");
  const auto waiting = submit("waiting", "true");
  service_.reset();
  EXPECT_EQ(outcome_of("running"), OutcomeKind::kCancelled);
  EXPECT_EQ(error_of("waiting"), ErrorCode::kCancelled);
  running->cancel();
  waiting->cancel();
  EXPECT_EQ(answers_.most_often(), 1u);
}

TEST_F(RunServiceTest, DrainLetsTheAcceptedEndAndAcceptsNoMore) {
  open({.slots = 1});
  submit_running("a", "sleep 0.05");
  submit("b", "true");
  service_->drain(milliseconds(20'000));
  EXPECT_EQ(answers_.order(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(outcome_of("b"), OutcomeKind::kExited);
  const auto late = try_submit("late", "true");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);
}

TEST_F(RunServiceTest, DrainCancelsWhatTakesTooLong) {
  open({.slots = 1});
  submit_running("running", "sleep 100");
  submit("waiting", "true");
  service_->drain(milliseconds(20));
  EXPECT_EQ(outcome_of("running"), OutcomeKind::kCancelled);
  EXPECT_EQ(error_of("waiting"), ErrorCode::kCancelled);
}

TEST_F(RunServiceTest, AnExceptionIsTheErrorOfItsRunOnly) {
  open({.slots = 1});
  host_.throws = true;
  submit("bad", "true");
  EXPECT_EQ(error_of("bad"), ErrorCode::kUnavailable);
  host_.throws = false;
  submit("good", "true");
  EXPECT_EQ(outcome_of("good"), OutcomeKind::kExited);
  EXPECT_EQ(service_->stats().failed, 1u);
}

TEST_F(RunServiceTest, AnAnswerThatThrowsEndsNothingElse) {
  open({.slots = 1});
  Submission submission;
  submission.request.spec.run = {.argv = {"true"}, .limits = {}};
  submission.done = [](const auto&) { (void)std::vector<int>().at(0); };
  ASSERT_TRUE(service_->submit(std::move(submission)));
  submit("good", "true");
  EXPECT_EQ(outcome_of("good"), OutcomeKind::kExited);
  EXPECT_EQ(service_->stats().lost, 1u);
}

TEST_F(RunServiceTest, OutputGoesToTheSinkAndItsOwnersAreLetGo) {
  open({.slots = 1});
  const auto sink = std::make_shared<CaptureSink>();
  const auto owner = std::make_shared<int>(0);
  Submission submission;
  submission.request.spec.env = {"PATH=/usr/bin:/bin"};
  submission.request.spec.run = {.argv = {"sh", "-c", "echo streamed"}, .limits = {}};
  submission.output = sink;
  submission.keep_alive = owner;
  submission.done = [&](base::Result<model::RunResult> result) {
    EXPECT_EQ(owner.use_count(), 2);
    answers_.add("a", std::move(result));
  };
  const auto ticket = service_->submit(std::move(submission));
  ASSERT_TRUE(ticket);
  service_->drain(milliseconds(20'000));
  EXPECT_EQ(answers_.wait_for("a")->stdout_bytes, "");
  EXPECT_EQ(sink->stdout_bytes, "streamed\n");
  EXPECT_EQ(owner.use_count(), 1);
}

TEST_F(RunServiceTest, EveryAcceptedSubmissionIsAnsweredOnceWhateverHappens) {
  open({.slots = 4, .waiting_max = 16, .wait_max = milliseconds(30)});
  std::atomic<int> accepted = 0;
  {
    std::vector<std::jthread> clients;
    for (int client = 0; client < 4; ++client) {
      clients.emplace_back([this, client, &accepted] {
        for (int i = 0; i < 40; ++i) {
          const auto name = std::to_string(client) + "." + std::to_string(i);
          const auto ticket = try_submit(name, i % 5 == 0 ? "sleep 0.02" : "true",
                                         i % 7 == 0 ? WhenBusy::kRefuse : WhenBusy::kWait);
          if (!ticket) continue;
          ++accepted;
          if (i % 3 == 0) (*ticket)->cancel();
          if (i % 11 == 0) (*ticket)->kill();
        }
      });
    }
  }
  service_->drain(milliseconds(20'000));
  EXPECT_EQ(answers_.order().size(), static_cast<std::size_t>(accepted));
  EXPECT_EQ(answers_.most_often(), 1u);
  const RunServiceStats stats = service_->stats();
  EXPECT_EQ(stats.started, stats.finished);
  EXPECT_EQ(stats.started + stats.cancelled + stats.waited_out,
            static_cast<std::uint64_t>(accepted));
}

}  // namespace
}  // namespace airlock::runner
