#include "apps/airlock/job_meter.h"

#include <gtest/gtest.h>

namespace airlock::apps {
namespace {

using std::chrono::seconds;

class JobMeterTest : public testing::Test {
 protected:
  bool shows(const std::string& line) {
    telemetry::Readings readings;
    readings.active = meter.active();
    return ("\n" + metrics.text(readings)).find("\n" + line + "\n") != std::string::npos;
  }

  base::ManualClock clock;
  telemetry::Metrics metrics{"1"};
  JobMeter meter{metrics, clock};
  const runner::ObservedJob job{.id = "job_1", .tenant = "5F", .weight_class = "0x"};
};

TEST_F(JobMeterTest, TimesEachPhaseAndTheWhole) {
  meter.submitted(job);
  meter.driven(job, "cloning", seconds(3), /*adopted=*/false);
  clock.advance(seconds(1));
  meter.entered(job.id, "cloning");  // the driver says so again when it begins
  clock.advance(seconds(4));
  EXPECT_TRUE(shows(R"(sandbox_jobs_active{phase="cloning",weight_class="0x"} 1)"));
  meter.entered(job.id, "prep");
  clock.advance(seconds(20));
  EXPECT_TRUE(shows(R"(sandbox_jobs_active{phase="cloning",weight_class="0x"} 0)"));
  EXPECT_TRUE(shows(R"(sandbox_jobs_active{phase="prep",weight_class="0x"} 1)"));
  meter.ended(job, model::JobState::kCompleted, seconds(26));
  EXPECT_TRUE(shows(R"(sandbox_jobs_submitted_total{validator="5F",weight_class="0x"} 1)"));
  EXPECT_TRUE(shows(R"(sandbox_queue_wait_seconds_sum{weight_class="0x"} 3)"));
  EXPECT_TRUE(shows(R"(sandbox_job_duration_seconds_sum{phase="cloning",weight_class="0x"} 5)"));
  EXPECT_TRUE(shows(R"(sandbox_job_duration_seconds_sum{phase="prep",weight_class="0x"} 20)"));
  EXPECT_TRUE(shows(R"(sandbox_job_duration_seconds_sum{phase="total",weight_class="0x"} 26)"));
  EXPECT_TRUE(shows(R"(sandbox_jobs_active{phase="prep",weight_class="0x"} 0)"));
  EXPECT_TRUE(shows(
      R"(sandbox_jobs_completed_total{status="completed",validator="5F",weight_class="0x"} 1)"));
}

TEST_F(JobMeterTest, APhaseThatAnotherServiceBeganIsNotTimed) {
  meter.driven(job, "prep", std::nullopt, /*adopted=*/true);
  clock.advance(seconds(7));
  EXPECT_TRUE(shows(R"(sandbox_jobs_active{phase="prep",weight_class="0x"} 1)"));
  meter.entered(job.id, "inference");
  clock.advance(seconds(2));
  meter.ended(job, model::JobState::kFailed, std::nullopt);
  EXPECT_FALSE(shows(R"(sandbox_job_duration_seconds_count{phase="prep",weight_class="0x"} 1)"));
  EXPECT_TRUE(shows(R"(sandbox_job_duration_seconds_sum{phase="inference",weight_class="0x"} 2)"));
}

TEST_F(JobMeterTest, AnAttemptThatWasLostIsNoEnd) {
  meter.driven(job, "prep", std::nullopt, /*adopted=*/false);
  meter.let_go(job.id);
  EXPECT_TRUE(meter.active().empty());
  meter.entered(job.id, "inference");
  EXPECT_TRUE(meter.active().empty());
  EXPECT_EQ(metrics.text({}).find("sandbox_jobs_completed_total"), std::string::npos);
  EXPECT_EQ(metrics.text({}).find("sandbox_job_duration_seconds"), std::string::npos);
}

TEST_F(JobMeterTest, AJobThatNobodyEverDroveEndsAllTheSame) {
  meter.ended(job, model::JobState::kCancelled, std::nullopt);
  EXPECT_TRUE(shows(
      R"(sandbox_jobs_completed_total{status="cancelled",validator="5F",weight_class="0x"} 1)"));
}

}  // namespace
}  // namespace airlock::apps
