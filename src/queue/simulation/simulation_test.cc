#include "queue/simulation/simulation.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "queue/simulation/gantt.h"
#include "queue/simulation/summary.h"

namespace airlock::queue {
namespace {

using std::chrono::seconds;

std::vector<TraceJob> jobs_of(const std::string& lines, std::uint32_t gpus = 8) {
  auto jobs = parse_trace("arrival_seconds,gpus,duration_seconds\n" + lines, gpus);
  EXPECT_TRUE(jobs) << jobs.error().message;
  return std::move(jobs).value();
}

std::vector<ScheduledJob> schedule_of(const std::vector<TraceJob>& jobs, std::string_view policy,
                                      std::uint32_t gpus = 8) {
  const auto chosen = make_policy(policy);
  auto schedule = simulate({.jobs = jobs,
                            .host = {.gpus = gpus, .cpu_millis = 0, .memory = {}, .disk = {}},
                            .policy = *chosen,
                            .knobs = {}});
  EXPECT_TRUE(schedule) << schedule.error().message;
  return std::move(schedule).value();
}

Summary summary_of(const std::vector<TraceJob>& jobs, std::string_view policy) {
  return summarize(jobs, schedule_of(jobs, policy), 8);
}

using Gpus = std::vector<std::uint32_t>;

TEST(Simulation, gives_gpus_that_are_neighbours_where_it_can) {
  const auto jobs = jobs_of("0,1,100\n0,2,10\n0,1,100\n10,2,5\n11,4,5\n11,1,5\n");
  const auto schedule = schedule_of(jobs, "fifo");
  EXPECT_EQ(schedule[1].gpus, (Gpus{1, 2}));
  EXPECT_EQ(schedule[2].gpus, (Gpus{3}));
  EXPECT_EQ(schedule[3].gpus, (Gpus{1, 2}));
  EXPECT_EQ(schedule[4].gpus, (Gpus{4, 5, 6, 7}));
  EXPECT_EQ(schedule[5].start, seconds(15));  // when somebody has ended
}

TEST(Simulation, adds_up_what_can_be_added_up_by_hand) {
  // Fifo: the second job waits for 50 s, and the third behind it as well.
  const auto jobs = jobs_of("0,4,60\n10,8,20\n10,2,5\n");
  const Summary fifo = summary_of(jobs, "fifo");
  EXPECT_DOUBLE_EQ(fifo.makespan_seconds, 85);
  EXPECT_DOUBLE_EQ(fifo.utilization, (240 + 160 + 10) / (85.0 * 8));
  EXPECT_DOUBLE_EQ(fifo.waits.mean_seconds, (0 + 50 + 70) / 3.0);
  EXPECT_DOUBLE_EQ(fifo.waits.max_seconds, 70);
  EXPECT_DOUBLE_EQ(fifo.waits.p50_seconds, 50);
  EXPECT_DOUBLE_EQ(fifo.waits.p99_seconds, 70);
  EXPECT_EQ(fifo.classes.at(8).jobs, 1U);
  EXPECT_DOUBLE_EQ(fifo.classes.at(8).mean_seconds, 50);
  const Summary ours = summary_of(jobs, "airlock");
  EXPECT_DOUBLE_EQ(ours.waits.mean_seconds, 50 / 3.0);
  EXPECT_DOUBLE_EQ(ours.makespan_seconds, 80);
  EXPECT_DOUBLE_EQ(ours.makespan_lower_bound_seconds, 60);
}

TEST(Simulation, knows_how_short_the_makespan_could_be) {
  // Two jobs of more than half of the host cannot run beside each other.
  EXPECT_DOUBLE_EQ(
      summary_of(jobs_of("0,5,10\n0,5,10\n0,1,1\n"), "fifo").makespan_lower_bound_seconds, 20);
  EXPECT_DOUBLE_EQ(
      summary_of(jobs_of("0,4,10\n0,4,10\n0,4,10\n"), "fifo").makespan_lower_bound_seconds, 15);
  EXPECT_DOUBLE_EQ(summary_of(jobs_of("5,1,1\n9,8,10\n"), "fifo").makespan_lower_bound_seconds, 14);
}

TEST(Simulation, takes_jobs_of_no_gpus_and_no_time) {
  const Summary summary = summary_of(jobs_of("0,0,10\n0,8,0\n0,8,0\n0,1,0\n"), "airlock");
  EXPECT_DOUBLE_EQ(summary.waits.max_seconds, 0);
  EXPECT_DOUBLE_EQ(summary.makespan_seconds, 10);
  EXPECT_EQ(summary.classes.at(0).jobs, 1U);
}

// The budget of the scheduler.
void expect_the_budget_holds(const std::vector<TraceJob>& jobs) {
  const Summary ours = summary_of(jobs, "airlock");
  const Summary fifo = summary_of(jobs, "fifo");
  const Summary best_fit = summary_of(jobs, "best-fit");
  for (const std::uint32_t gpus : {4U, 8U}) {
    EXPECT_LE(ours.classes.at(gpus).mean_seconds, fifo.classes.at(gpus).mean_seconds);
    EXPECT_LE(ours.classes.at(gpus).p99_seconds, fifo.classes.at(gpus).p99_seconds);
  }
  EXPECT_LT(ours.waits.mean_seconds, fifo.waits.mean_seconds);
  EXPECT_LT(ours.waits.mean_seconds, best_fit.waits.mean_seconds);
  EXPECT_GE(ours.utilization, fifo.utilization);
}

// On 6,983 real jobs and on 8 GPUs.
class TraceBudget : public testing::TestWithParam<BoundKind> {};

TEST_P(TraceBudget, holds_against_fifo_and_best_fit) {
  std::ifstream file(AIRLOCK_TEST_SOURCE_DIR "/examples/data/gpu_jobs_2023.csv");
  std::stringstream text;
  text << file.rdbuf();
  auto jobs = *parse_trace(text.str(), 8);
  ASSERT_EQ(jobs.size(), 6'983U);
  set_bounds(jobs, GetParam());
  expect_the_budget_holds(jobs);
}

INSTANTIATE_TEST_SUITE_P(, TraceBudget, testing::Values(BoundKind::kExact, BoundKind::kDouble),
                         [](const auto& info) {
                           return info.param == BoundKind::kExact ? "exact" : "x2";
                         });

// On random jobs that ask for so much of the host's time.
class MixBudget : public testing::TestWithParam<double> {};

TEST_P(MixBudget, holds_against_fifo_and_best_fit) {
  for (const BoundKind bounds : {BoundKind::kExact, BoundKind::kDouble}) {
    auto jobs = make_mix({.seed = 1, .load = GetParam(), .jobs = 1'500});
    set_bounds(jobs, bounds);
    expect_the_budget_holds(jobs);
  }
}

INSTANTIATE_TEST_SUITE_P(, MixBudget, testing::Values(0.3, 0.6, 0.8, 0.9, 0.99));

TEST(Gantt, has_a_rectangle_for_each_run_of_gpus_and_is_safe_to_open) {
  const auto jobs = jobs_of("0,1,100\n0,2,10\n0,1,100\n10,7,5\n");
  const std::string svg =
      gantt_svg(jobs, schedule_of(jobs, "fifo"), 8, "<script>alert(1)</script> & \x01");
  EXPECT_TRUE(svg.starts_with("<svg xmlns="));
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_NE(svg.find("&lt;script&gt;alert(1)&lt;/script&gt; &amp; ?"), std::string::npos);
  EXPECT_NE(svg.find("job 4: 7 GPUs for 5.00 s, waited 90.00 s"), std::string::npos);
  EXPECT_NE(svg.find("7 GPUs: 1 job"), std::string::npos);
}

TEST(Gantt, does_not_grow_with_time_or_fail_on_nothing) {
  EXPECT_NE(gantt_svg({}, {}, 8, "nothing").find("</svg>"), std::string::npos);
  const auto jobs = jobs_of("0,1,0\n300000000,1,2592000\n");
  EXPECT_LT(gantt_svg(jobs, schedule_of(jobs, "fifo"), 8, "long").size(), 300'000U);
}

}  // namespace
}  // namespace airlock::queue
