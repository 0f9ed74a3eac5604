#include "queue/policy.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "queue/airlock_policy.h"
#include "queue/releases.h"
#include "queue/resources.h"

namespace airlock::queue {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const WallTime kNow = WallTime(hours(1'000));

Resources gpus(std::uint32_t count) {
  return {.gpus = count, .cpu_millis = 0, .memory = {}, .disk = {}};
}
Resources cores(std::uint32_t count) {
  return {.gpus = 0, .cpu_millis = count * 1'000, .memory = {}, .disk = {}};
}

WaitingJob waiting(std::string id, Resources ask, Duration waited, Duration bound,
                   std::string tenant = "t") {
  return {.id = std::move(id),
          .tenant = std::move(tenant),
          .gpu_type = ask.gpus > 0 ? "H200" : "",
          .ask = ask,
          .priority = 0,
          .submitted_at = kNow - waited,
          .bound = bound};
}

// A host of 8 GPUs, 16 cores, 64 GiB and 100 GiB, and who is on it.
struct Scene {
  Host host{.total = {.gpus = 8,
                      .cpu_millis = 16'000,
                      .memory = base::gibibytes(64),
                      .disk = base::gibibytes(100)},
            .free = {},
            .gpu_type = "H200"};
  std::vector<RunningJob> running;
  std::vector<WaitingJob> jobs;
  std::string reserved;
  Knobs knobs;

  void runs(std::string id, Resources held, Duration left, std::string tenant = "other") {
    running.push_back({.id = std::move(id),
                       .tenant = std::move(tenant),
                       .held = held,
                       .latest_end = kNow + left});
  }

  Decision decide(std::string_view policy = "airlock") {
    host.free = host.total;
    for (const RunningJob& job : running) host.free = minus(host.free, job.held);
    std::vector<const WaitingJob*> shown;
    for (const WaitingJob& job : jobs) shown.push_back(&job);
    return make_policy(policy)->decide({.now = kNow,
                                        .host = host,
                                        .running = running,
                                        .waiting = shown,
                                        .reserved = reserved,
                                        .knobs = knobs});
  }
};

using Ids = std::vector<std::string>;

TEST(AirlockPolicy, starts_what_fits_all_of_it_together) {
  Scene scene;
  scene.jobs = {waiting("a", gpus(4), minutes(3), hours(1)),
                waiting("b", gpus(4), minutes(2), hours(1)),
                waiting("c", gpus(1), minutes(1), hours(1))};
  EXPECT_EQ(scene.decide().start, (Ids{"a", "b"}));
}

TEST(AirlockPolicy, counts_every_kind_of_resource_also_of_jobs_without_gpus) {
  Scene scene;
  scene.runs("r", cores(12), hours(1));
  scene.jobs = {waiting("a", cores(3), minutes(3), hours(1)),
                waiting("b", cores(2), minutes(2), hours(1)),
                waiting("c", gpus(8), minutes(1), hours(1))};
  scene.jobs[2].ask.memory = base::gibibytes(64);
  EXPECT_EQ(scene.decide().start, (Ids{"a", "c"}));
  scene.jobs[0].ask.memory = base::mebibytes(1);
  EXPECT_EQ(scene.decide().start, (Ids{"a"}));
}

TEST(AirlockPolicy, names_what_can_never_run_and_why) {
  Scene scene;
  scene.jobs = {waiting("type", gpus(1), minutes(3), hours(1)),
                waiting("cores", cores(17), minutes(3), hours(1)),
                waiting("fine", gpus(1), minutes(3), hours(1))};
  scene.jobs[0].gpu_type = "A100";
  const Decision decision = scene.decide();
  EXPECT_EQ(decision.start, (Ids{"fine"}));
  ASSERT_EQ(decision.impossible.size(), 2U);
  EXPECT_EQ(decision.impossible[0].reason, "it asks for GPUs of type A100, the host has H200");
  EXPECT_EQ(decision.impossible[1].reason, "it asks for 17 cores, the host has 16 cores");
  scene.host.total = cores(16);
  EXPECT_EQ(scene.decide().impossible.back().reason, "it asks for 1 GPU, the host has none");
}

TEST(AirlockPolicy, lets_others_pass_until_the_threshold_and_then_reserves) {
  Scene scene;
  scene.runs("r", gpus(6), hours(5));
  scene.jobs = {waiting("large", gpus(8), minutes(59), hours(1)),
                waiting("small", gpus(1), minutes(1), hours(9))};
  EXPECT_EQ(scene.decide().start, (Ids{"small"}));
  EXPECT_FALSE(scene.decide().reservation);
  scene.jobs[0].submitted_at = kNow - minutes(60);
  const Decision decision = scene.decide();
  EXPECT_EQ(decision.start, Ids());
  ASSERT_TRUE(decision.reservation);
  EXPECT_EQ(decision.reservation->id, "large");
  EXPECT_EQ(decision.reservation->at, kNow + hours(5));
}

TEST(AirlockPolicy, backfills_what_ends_by_then_or_takes_nothing_that_is_needed) {
  Scene scene;
  scene.runs("r", gpus(4), hours(5));
  scene.jobs = {waiting("large", gpus(7), hours(2), hours(1)),
                waiting("just-in-time", gpus(1), minutes(1), hours(5)),
                waiting("beside", gpus(1), minutes(1), hours(5) + seconds(1)),
                waiting("too-long", gpus(1), minutes(1), hours(5) + seconds(2)),
                waiting("no-gpu", cores(1), minutes(1), hours(50))};
  const Decision decision = scene.decide();
  EXPECT_EQ(decision.start, (Ids{"just-in-time", "beside", "no-gpu"}));
  EXPECT_EQ(decision.reservation->at, kNow + hours(5));
}

TEST(AirlockPolicy, leaves_the_reservation_with_who_has_it) {
  Scene scene;
  scene.runs("r", gpus(8), hours(5));
  scene.jobs = {waiting("older", gpus(8), hours(9), hours(1)),
                waiting("holder", gpus(8), hours(2), hours(1))};
  EXPECT_EQ(scene.decide().reservation->id, "older");
  scene.reserved = "holder";
  EXPECT_EQ(scene.decide().reservation->id, "holder");
  scene.reserved = "cancelled-meanwhile";
  EXPECT_EQ(scene.decide().reservation->id, "older");
}

TEST(AirlockPolicy, takes_a_running_job_that_is_over_its_bound_for_one_that_ends_now) {
  Scene scene;
  scene.runs("late", gpus(2), -hours(1));
  scene.jobs = {waiting("large", gpus(8), hours(2), hours(1)),
                waiting("small", gpus(1), minutes(1), hours(10))};
  const Decision decision = scene.decide();
  EXPECT_EQ(decision.start, Ids());
  EXPECT_EQ(decision.reservation->at, kNow);
}

TEST(AirlockPolicy, puts_priority_above_waiting_by_a_step_of_it) {
  Scene scene;
  scene.runs("r", gpus(7), hours(1));
  scene.jobs = {waiting("older", gpus(1), minutes(29), hours(1)),
                waiting("urgent", gpus(1), minutes(0), hours(1))};
  scene.jobs[1].priority = 1;
  EXPECT_EQ(scene.decide().start, (Ids{"urgent"}));
  scene.jobs[0].submitted_at = kNow - minutes(31);
  EXPECT_EQ(scene.decide().start, (Ids{"older"}));
}

TEST(AirlockPolicy, puts_short_jobs_first_but_only_by_what_patience_says) {
  Scene scene;
  scene.runs("r", gpus(7), hours(1));
  scene.jobs = {waiting("long", gpus(1), minutes(79), minutes(12)),
                waiting("short", gpus(1), minutes(0), minutes(2))};
  scene.knobs.starvation_threshold = hours(9);
  EXPECT_EQ(scene.decide().start, (Ids{"short"}));  // 10 minutes less, times 8
  scene.jobs[0].submitted_at = kNow - minutes(81);
  EXPECT_EQ(scene.decide().start, (Ids{"long"}));
  scene.jobs[0] = waiting("endless", gpus(1), hours(74), hours(10'000));
  EXPECT_EQ(scene.decide().start, (Ids{"endless"}));  // the patience for it has an end
}

TEST(AirlockPolicy, gives_a_tenant_with_less_of_the_host_the_next_turn) {
  Scene scene;
  scene.runs("r", gpus(6), hours(1), "flooder");
  for (int i = 0; i < 20; ++i) {
    scene.jobs.push_back(
        waiting("flood-" + std::to_string(i), gpus(1), hours(5) + minutes(i), hours(1), "flooder"));
  }
  scene.jobs.push_back(waiting("one", gpus(1), minutes(1), hours(1), "quiet"));
  EXPECT_EQ(scene.decide().start, (Ids{"one", "flood-19"}));
  // And no tenant is put off for ever: what waits for longer than fairness_span comes first.
  scene.jobs[19].submitted_at = kNow - hours(30);
  EXPECT_EQ(scene.decide().start, (Ids{"flood-19", "one"}));
}

TEST(AirlockPolicy, gives_the_same_decision_for_the_same_snapshot_in_any_order) {
  Scene scene;
  scene.runs("r", gpus(3), hours(2));
  for (int i = 0; i < 9; ++i) {
    scene.jobs.push_back(
        waiting(std::string(1, static_cast<char>('a' + i)), gpus(1), minutes(5), hours(1)));
  }
  const Ids first = scene.decide().start;
  EXPECT_EQ(first, (Ids{"a", "b", "c", "d", "e"}));
  std::ranges::reverse(scene.jobs);
  EXPECT_EQ(scene.decide().start, first);
}

TEST(AirlockPolicy, keeps_what_is_needed_where_the_rest_is_held_by_nobody_who_runs) {
  Scene scene;
  scene.jobs = {waiting("large", gpus(8), hours(2), hours(1)),
                waiting("small", gpus(1), minutes(1), hours(1)),
                waiting("no-gpu", cores(1), minutes(1), hours(1))};
  scene.host.free = scene.host.total;
  scene.host.free.gpus = 7;  // one is being cleaned
  const std::vector<const WaitingJob*> shown = {&scene.jobs[0], &scene.jobs[1], &scene.jobs[2]};
  const Decision decision = AirlockPolicy().decide({.now = kNow,
                                                    .host = scene.host,
                                                    .running = {},
                                                    .waiting = shown,
                                                    .reserved = {},
                                                    .knobs = scene.knobs});
  EXPECT_EQ(decision.start, (Ids{"no-gpu"}));
  EXPECT_EQ(decision.reservation->id, "large");
}

TEST(OtherPolicies, do_what_they_are_named_for) {
  Scene scene;
  scene.runs("r", gpus(4), hours(5));
  scene.jobs = {waiting("one", gpus(1), minutes(3), hours(1)),
                waiting("large", gpus(8), minutes(2), hours(1)),
                waiting("two", gpus(2), minutes(1), hours(1))};
  EXPECT_EQ(scene.decide("fifo").start, (Ids{"one"}));
  EXPECT_EQ(scene.decide("best-fit").start, (Ids{"two", "one"}));
  EXPECT_EQ(scene.decide("seed").start, (Ids{"two", "one"}));
  // The seed takes a large job that has waited for an hour first, if it fits.
  scene.running.clear();
  scene.jobs[1] = waiting("four", gpus(4), hours(2), hours(1));
  scene.jobs.push_back(waiting("eight", gpus(8), minutes(1), hours(1)));
  EXPECT_EQ(scene.decide("seed").start, (Ids{"four", "two", "one"}));
  EXPECT_EQ(make_policy("lifo"), nullptr);
}

}  // namespace
}  // namespace airlock::queue
