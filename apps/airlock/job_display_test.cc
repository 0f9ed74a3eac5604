#include "apps/airlock/job_display.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "client/wire_time.h"

namespace airlock::apps {
namespace {

constexpr std::string_view kRunning = R"({
  "job_id": "job_1", "status": "prep", "current_phase": "prep", "progress_percentage": 50.0,
  "submitted_at": "2026-01-01T00:00:00.0", "assigned_gpus": [0, 3], "prep_timeout_seconds": 600,
  "phases": [{"name": "clone", "started_at": "2026-01-01T00:00:01.0",
              "ended_at": "2026-01-01T00:00:05.0"},
             {"name": "prep", "started_at": "2026-01-01T00:01:00.0", "ended_at": null}]})";

std::string line_of(std::string_view json, std::size_t columns) {
  return status_line(boost::json::parse(json).get_object(),
                     *client::parse_wire_time("2026-01-01T00:02:05"), columns);
}

TEST(JobDisplayTest, OneLineSaysWhatRunsAndHowLongItMay) {
  EXPECT_EQ(line_of(kRunning, 100),
            "job_1  prep  [##########----------] 50 %  GPU 0,3  1:05, 8:55 left");
}

TEST(JobDisplayTest, ANarrowTerminalGetsLess) {
  EXPECT_EQ(line_of(kRunning, 50), "job_1  prep  50 %  GPU 0,3  1:05, 8:55 left");
  EXPECT_EQ(line_of(kRunning, 20), "job_1  prep  50 %...");
}

TEST(JobDisplayTest, NothingOfAServiceCanBreakTheLine) {
  const std::string line = line_of(
      R"({"job_id":"\u001b[2J\n","status":"x\u009b","progress_percentage":1e300,)"
      R"("assigned_gpus":["\u001b",{}],"prep_timeout_seconds":1e300,"submitted_at":"\u001b",)"
      R"("phases":[7,{"name":"prep","started_at":"2099-01-01T00:00:00"}]})",
      200);
  EXPECT_EQ(line.find_first_of("\x1b\n\xc2"), std::string::npos);
  EXPECT_NE(line.find("100 %"), std::string::npos);
  EXPECT_EQ(line_of("{}", 80), "    [--------------------] 0 %  ");
}

}  // namespace
}  // namespace airlock::apps
