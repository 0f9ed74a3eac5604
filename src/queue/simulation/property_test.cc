// What holds for every schedule of the queue, over about a million simulated events; and that each
// of these checks fails where it should. AIRLOCK_QUEUE_SEED takes another seed than the usual.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>

#include "base/ids.h"
#include "queue/airlock_policy.h"
#include "queue/resources.h"
#include "queue/simulation/schedule_checker.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define AIRLOCK_SANITIZED
#endif
#endif

namespace airlock::queue {
namespace {

constexpr std::uint64_t kUsualSeed = 20'231'129;
constexpr std::array kLoads = {0.3, 0.6, 0.8, 0.9, 0.99};
constexpr std::size_t kRunsPerLoad = 3;
#ifdef AIRLOCK_SANITIZED
constexpr std::size_t kJobsPerRun = 1'500;
#else
constexpr std::size_t kJobsPerRun = 23'000;
#endif

std::uint64_t usual_seed() {
  const char* const text = std::getenv("AIRLOCK_QUEUE_SEED");
  return text == nullptr ? kUsualSeed : std::strtoull(text, nullptr, 10);
}

Resources big_host() {
  return {.gpus = 8,
          .cpu_millis = 96'000,
          .memory = base::gibibytes(1'024),
          .disk = base::gibibytes(4'000)};
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t limit) {
    std::array<std::byte, 8> bytes{};
    random_.fill(bytes);
    return std::bit_cast<std::uint64_t>(bytes) % limit;
  }

 private:
  base::SeededRandom random_;
};

// GPU jobs and jobs without, that also want CPUs, memory and disk, at all priorities, and end
// somewhere before their bounds.
std::vector<TraceJob> varied_jobs(std::uint64_t seed, double load, std::size_t count) {
  std::vector<TraceJob> jobs = make_mix({.seed = seed, .load = load, .jobs = count, .tenants = 6});
  Dice dice(seed + 1);
  for (TraceJob& job : jobs) {
    if (dice.below(6) == 0) job.ask.gpus = 0;
    job.ask.cpu_millis = static_cast<std::uint32_t>(500 * (1 + dice.below(20)));
    job.ask.memory = base::gibibytes(1 + dice.below(60));
    job.ask.disk = base::gibibytes(dice.below(200));
    if (dice.below(40) == 0) job.ask.memory = base::gibibytes(600);
    job.priority = static_cast<std::uint32_t>(dice.below(model::kPriorityMax + 1));
    job.bound = job.duration * (100 + dice.below(300)) / 100;
  }
  return jobs;
}

using Faults = std::map<std::string, std::string>;

// What a policy does wrong with the jobs; an error of the simulation is a fault named `refused`.
Faults faults_of(const Policy& policy, std::span<const TraceJob> jobs) {
  const Knobs knobs;
  ScheduleChecker checker(jobs, big_host(), knobs);
  const auto schedule = simulate(
      {.jobs = jobs, .host = big_host(), .policy = policy, .knobs = knobs, .observer = &checker});
  if (!schedule) return {{"refused", schedule.error().message}};
  checker.finish();
  return checker.faults();
}

std::string listed(const Faults& faults) {
  std::string text;
  for (const auto& [kind, first] : faults) text += kind + ": " + first + "\n";
  return text;
}

TEST(Schedules, keep_every_promise_and_starve_and_lose_nothing) {
  const std::uint64_t seed = usual_seed();
  const AirlockPolicy policy;
  const Knobs knobs;
  std::size_t events = 0;
  std::size_t promises = 0;
  std::size_t passed = 0;
  for (std::size_t run = 0; run < kLoads.size() * kRunsPerLoad; ++run) {
    const double load = kLoads[run % kLoads.size()];
    SCOPED_TRACE("AIRLOCK_QUEUE_SEED=" + std::to_string(seed) + ", run " + std::to_string(run));
    const std::vector<TraceJob> jobs = varied_jobs(seed + run * 1'000, load, kJobsPerRun);
    ScheduleChecker checker(jobs, big_host(), knobs);
    const auto schedule = simulate(
        {.jobs = jobs, .host = big_host(), .policy = policy, .knobs = knobs, .observer = &checker});
    ASSERT_TRUE(schedule) << schedule.error().message;
    checker.finish();
    ASSERT_EQ(checker.faults(), Faults()) << listed(checker.faults());
    events += checker.events();
    promises += checker.promises();
    passed += checker.passed();
  }
  std::printf("seed %llu: %zu events, %zu reservations kept, %zu jobs passed one that had it\n",
              static_cast<unsigned long long>(seed), events, promises, passed);
  EXPECT_EQ(events, kLoads.size() * kRunsPerLoad * kJobsPerRun * 3);  // came, started, ended
  EXPECT_GT(promises, events / 1'000);
  EXPECT_GT(passed, promises);
}

// --- policies that do one thing wrong -----------------------------------------------------------
class Changed : public Policy {
 public:
  std::string_view name() const override { return "changed"; }
  bool wants_everything() const override { return false; }

 protected:
  AirlockPolicy right_;
};

std::vector<TraceJob> busy_jobs() { return varied_jobs(usual_seed(), 0.9, 1'500); }

TEST(ScheduleChecker, finds_nothing_in_the_right_policy) {
  const Faults faults = faults_of(AirlockPolicy(), busy_jobs());
  EXPECT_EQ(faults, Faults()) << listed(faults);
}

TEST(ScheduleChecker, finds_a_job_that_passes_a_reservation_and_delays_it) {
  class Pushing : public Changed {
    Decision decide(const Snapshot& snapshot) const override {
      Decision decision = right_.decide(snapshot);
      Resources free = snapshot.host.free;
      const auto starts = [&](const WaitingJob& job) {
        return std::ranges::find(decision.start, job.id) != decision.start.end();
      };
      for (const WaitingJob* const job : snapshot.waiting) {
        if (starts(*job)) free = minus(free, job->ask);
      }
      for (const WaitingJob* const job : snapshot.waiting) {
        if (starts(*job) || !fits(job->ask, free)) continue;
        free = minus(free, job->ask);
        decision.start.push_back(job->id);
      }
      return decision;
    }
  };
  EXPECT_TRUE(faults_of(Pushing(), busy_jobs()).contains("promise broken"));
}

TEST(ScheduleChecker, finds_a_reservation_that_moves_to_another_job) {
  class Forgetting : public Changed {
    Decision decide(const Snapshot& snapshot) const override {
      Snapshot forgotten = snapshot;
      forgotten.reserved = {};
      return right_.decide(forgotten);
    }
  };
  EXPECT_TRUE(faults_of(Forgetting(), busy_jobs()).contains("reservation taken away"));
}

TEST(ScheduleChecker, finds_jobs_that_starve) {
  const auto greedy = make_policy("best-fit");
  EXPECT_TRUE(faults_of(*greedy, busy_jobs()).contains("starves"));
}

TEST(ScheduleChecker, finds_a_job_that_is_passed_over_by_reservations) {
  class Spiteful : public Changed {
    Decision decide(const Snapshot& snapshot) const override {
      std::vector<const WaitingJob*> others;
      for (const WaitingJob* const job : snapshot.waiting) {
        if (!job->id.ends_with("a")) others.push_back(job);
      }
      if (others.empty()) others.assign(snapshot.waiting.begin(), snapshot.waiting.end());
      Snapshot less{snapshot.now,      snapshot.host,  snapshot.running,     others,
                    snapshot.reserved, snapshot.knobs, snapshot.last_started};
      return right_.decide(less);
    }
  };
  EXPECT_TRUE(faults_of(Spiteful(), varied_jobs(usual_seed(), 2, 1'500)).contains("starves"));
}

TEST(ScheduleChecker, finds_resources_that_are_promised_twice) {
  class Overbooking : public Changed {
    Decision decide(const Snapshot& snapshot) const override {
      Decision decision;
      for (const WaitingJob* const job : snapshot.waiting) decision.start.push_back(job->id);
      return decision;
    }
  };
  const std::vector<TraceJob> jobs = busy_jobs();
  EXPECT_TRUE(faults_of(Overbooking(), jobs).contains("refused"));
  const Knobs knobs;
  ScheduleChecker checker(jobs, big_host(), knobs);
  const Overbooking overbooking;
  (void)simulate({.jobs = jobs,
                  .host = big_host(),
                  .policy = overbooking,
                  .knobs = knobs,
                  .observer = &checker});
  EXPECT_TRUE(checker.faults().contains("promised twice"));
}

TEST(ScheduleChecker, finds_a_job_that_is_never_started) {
  class Losing : public Changed {
    Decision decide(const Snapshot& snapshot) const override {
      Decision decision = right_.decide(snapshot);
      std::erase(decision.start, simulated_id(42));
      return decision;
    }
  };
  const Faults faults = faults_of(Losing(), busy_jobs());
  ASSERT_TRUE(faults.contains("refused"));
  EXPECT_NE(faults.at("refused").find("jobs waiting"), std::string::npos);
}

// --- hosts that do one thing wrong --------------------------------------------------------------
class Tampering : public Observer {
 public:
  Tampering(ScheduleChecker& checker, std::size_t victim) : checker_(checker), victim_(victim) {}

  void decided(const Snapshot& snapshot, const Decision& decision) override {
    checker_.decided(snapshot, decision);
  }
  void started(std::size_t job, WallTime now, std::span<const std::uint32_t> gpus) override {
    std::vector<std::uint32_t> changed(gpus.begin(), gpus.end());
    if (gives_twice && !last_.empty() && changed.size() == 1) changed[0] = last_[0];
    last_.assign(gpus.begin(), gpus.end());
    checker_.started(job, now, changed);
  }
  void ended(std::size_t job, WallTime now) override {
    if (keeps && job == victim_) return;
    if (!gives_twice) last_.clear();
    checker_.ended(job, now);
  }

  bool gives_twice = false;
  bool keeps = false;

 private:
  ScheduleChecker& checker_;
  std::size_t victim_;
  std::vector<std::uint32_t> last_;
};

Faults tampered(bool Tampering::* what) {
  const std::vector<TraceJob> jobs = busy_jobs();
  const Knobs knobs;
  const AirlockPolicy policy;
  ScheduleChecker checker(jobs, big_host(), knobs);
  Tampering tampering(checker, 100);
  tampering.*what = true;
  EXPECT_TRUE(simulate({.jobs = jobs,
                        .host = big_host(),
                        .policy = policy,
                        .knobs = knobs,
                        .observer = &tampering}));
  checker.finish();
  return checker.faults();
}

TEST(ScheduleChecker, finds_a_gpu_that_is_leased_twice) {
  EXPECT_TRUE(tampered(&Tampering::gives_twice).contains("GPU leased twice"));
}

TEST(ScheduleChecker, finds_what_is_never_given_back) {
  const Faults faults = tampered(&Tampering::keeps);
  EXPECT_TRUE(faults.contains("leaked"));
  EXPECT_TRUE(faults.contains("not ended"));
}

}  // namespace
}  // namespace airlock::queue
