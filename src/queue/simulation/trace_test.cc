#include "queue/simulation/trace.h"

#include <gtest/gtest.h>

#include <array>

namespace airlock::queue {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kHeader = "arrival_seconds,gpus,duration_seconds\n";

std::string error_of(const std::string& text, std::uint32_t gpus = 8) {
  const auto jobs = parse_trace(text, gpus);
  return jobs ? "no error" : jobs.error().message;
}

std::string error_of_line(const std::string& line) { return error_of(std::string(kHeader) + line); }

TEST(Trace, is_read_in_order_of_arrival) {
  const auto jobs = parse_trace(std::string(kHeader) + "5,8,1.5\n0,1,60\r\n\n5,2,0\n", 8);
  ASSERT_TRUE(jobs) << jobs.error().message;
  ASSERT_EQ(jobs->size(), 3U);
  EXPECT_EQ((*jobs)[0].arrival, seconds(0));
  EXPECT_EQ((*jobs)[1].ask.gpus, 8U);
  EXPECT_EQ((*jobs)[1].duration, milliseconds(1'500));
  EXPECT_EQ((*jobs)[2].line, 5U);
}

TEST(Trace, may_have_other_columns_in_any_order) {
  const auto jobs = parse_trace(
      "\xEF\xBB\xBF"
      "tenant,gpus,note,duration_seconds,priority,arrival_seconds,bound_seconds\n"
      "\"a, b\",2,x,10,3,1,20\nc,1,,10,0,2,\n",
      8);
  ASSERT_TRUE(jobs) << jobs.error().message;
  EXPECT_EQ((*jobs)[0].tenant, "a, b");
  EXPECT_EQ((*jobs)[0].priority, 3U);
  EXPECT_EQ((*jobs)[0].bound, seconds(20));
  EXPECT_EQ((*jobs)[1].bound, seconds(10));
}

TEST(Trace, names_line_column_and_value_of_what_is_wrong) {
  EXPECT_EQ(error_of(""), "the trace is empty");
  EXPECT_EQ(error_of("\n\n"), "the trace is empty");
  EXPECT_EQ(error_of(std::string(kHeader)), "the trace has no jobs");
  EXPECT_EQ(error_of("arrival_seconds,duration_seconds\n0,1\n"),
            "line 1: there is no column \"gpus\"");
  EXPECT_EQ(error_of("gpus,gpus\n"), "line 1: there are two columns \"gpus\"");
  EXPECT_EQ(error_of_line("0,1"), "line 2: 2 cells, but there are 3 columns");
  EXPECT_EQ(error_of_line("0,1,5\n-1,1,5"), "line 3: arrival_seconds: \"-1\" is negative");
  for (const char* const no_number : {"nan", "inf", "-inf", "1e999", "0x10", "", "5 s", "1,5"}) {
    const std::string error = error_of_line("0,1,\"" + std::string(no_number) + "\"");
    EXPECT_EQ(error, "line 2: duration_seconds: \"" + std::string(no_number) +
                         "\" is no number of seconds");
  }
  EXPECT_EQ(error_of_line("0,1,1e12"), "line 2: duration_seconds: \"1e12\" is more than 2592000");
  EXPECT_EQ(error_of_line("0,1.5,1"), "line 2: gpus: \"1.5\" is no whole number from 0 to 1024");
  EXPECT_EQ(error_of_line("0,-1,1"), "line 2: gpus: \"-1\" is no whole number from 0 to 1024");
  EXPECT_EQ(error_of_line("0,9,1"), "line 2: the job asks for 9 GPUs, the host has 8");
  EXPECT_EQ(error_of("arrival_seconds,gpus,duration_seconds,bound_seconds\n0,1,10,9\n"),
            "line 2: bound_seconds is less than duration_seconds");
  EXPECT_EQ(error_of("arrival_seconds,gpus,duration_seconds,priority\n0,1,10,11\n"),
            "line 2: priority: \"11\" is no whole number from 0 to 10");
}

TEST(Trace, has_bounds_on_everything) {
  std::string many(kHeader);
  for (std::size_t i = 0; i <= kTraceJobsMax; ++i) many += "0,1,1\n";
  EXPECT_EQ(error_of(many), "line 200002: a trace has at most 200000 jobs");
  EXPECT_EQ(error_of(std::string(kTraceBytesMax + 1, 'x')), "the trace has more than 64 MiB");
  EXPECT_EQ(error_of(std::string(300, ',')), "line 1: more than 256 columns");
  const std::string binary("\0\xff\n\x1b[2J", 7);
  EXPECT_EQ(error_of(binary), "line 1: there is no column \"arrival_seconds\"");
}

TEST(Trace, takes_bounds_as_it_is_told) {
  auto jobs = *parse_trace(
      "arrival_seconds,gpus,duration_seconds,bound_seconds\n0,1,10,\n0,1,30,\n"
      "0,1,20,25\n",
      8);
  set_bounds(jobs, BoundKind::kDouble);
  EXPECT_EQ(jobs[0].bound, seconds(20));
  set_bounds(jobs, BoundKind::kTimeout);
  EXPECT_EQ(jobs[0].bound, seconds(30));
  EXPECT_EQ(jobs[2].bound, seconds(25));
  set_bounds(jobs, BoundKind::kExact);
  EXPECT_EQ(jobs[1].bound, seconds(30));
}

TEST(Mix, asks_for_the_load_it_is_told_and_repeats_itself) {
  for (const double load : {0.3, 0.99}) {
    const auto jobs = make_mix({.seed = 7, .load = load, .jobs = 20'000});
    double gpu_seconds = 0;
    std::array<std::size_t, 9> counts{};
    for (const TraceJob& job : jobs) {
      gpu_seconds += job.ask.gpus * std::chrono::duration<double>(job.duration).count();
      ++counts.at(job.ask.gpus);
    }
    const double span = std::chrono::duration<double>(jobs.back().arrival).count();
    EXPECT_NEAR(gpu_seconds / (8 * span), load, 0.03 * load);
    EXPECT_NEAR(static_cast<double>(counts[1]), 10'000, 300);
    EXPECT_NEAR(static_cast<double>(counts[8]), 3'000, 300);
  }
  const auto once = make_mix({.seed = 7, .jobs = 100});
  const auto again = make_mix({.seed = 7, .jobs = 100});
  const auto other = make_mix({.seed = 8, .jobs = 100});
  EXPECT_EQ(once[99].arrival, again[99].arrival);
  EXPECT_NE(once[99].arrival, other[99].arrival);
  for (const TraceJob& job : make_mix({.gpus = 2, .jobs = 500})) EXPECT_LE(job.ask.gpus, 2U);
}

}  // namespace
}  // namespace airlock::queue
