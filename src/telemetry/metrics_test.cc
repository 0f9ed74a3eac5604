#include "telemetry/metrics.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace airlock::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool has_line(const std::string& page, const std::string& line) {
  return ("\n" + page).find("\n" + line + "\n") != std::string::npos;
}

#define EXPECT_LINE(page, line) EXPECT_TRUE(has_line(page, line)) << (line) << "\n" << (page)

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST(Metrics, APageBeginsWithWhoServesIt) {
  Metrics metrics("1.2.3");
  const std::string page = metrics.text({});
  EXPECT_LINE(page, R"(sandbox_system_info{service="airlock",version="1.2.3"} 1)");
  EXPECT_LINE(page, R"(sandbox_auth_failures_total{auth_type="api_key",reason="invalid"} 0)");
  EXPECT_LINE(page, R"(sandbox_auth_failures_total{auth_type="api_key",reason="missing"} 0)");
}

TEST(Metrics, RequestsAreCountedByMethodEndpointAndStatus) {
  Metrics metrics("1");
  metrics.request_answered(
      {.method = "GET", .endpoint = "/v1/jobs/{id}", .status = 200, .took = milliseconds(20)});
  metrics.request_answered(
      {.method = "GET", .endpoint = "/v1/jobs/{id}", .status = 200, .took = milliseconds(700)});
  metrics.request_answered(
      {.method = "GET", .endpoint = "/v1/jobs/{id}", .status = 404, .took = {}});
  metrics.request_unread(408);
  const std::string page = metrics.text({});
  const std::string labels = R"(endpoint="/v1/jobs/{id}",method="GET",status="200")";
  EXPECT_LINE(page, "sandbox_api_requests_total{" + labels + "} 2");
  EXPECT_LINE(page, "sandbox_api_request_duration_seconds_bucket{" + labels + R"(,le="0.01"} 0)");
  EXPECT_LINE(page, "sandbox_api_request_duration_seconds_bucket{" + labels + R"(,le="0.05"} 1)");
  EXPECT_LINE(page, "sandbox_api_request_duration_seconds_bucket{" + labels + R"(,le="1"} 2)");
  EXPECT_LINE(page, "sandbox_api_request_duration_seconds_sum{" + labels + "} 0.72");
  EXPECT_LINE(
      page, R"(sandbox_api_requests_total{endpoint="/v1/jobs/{id}",method="GET",status="404"} 1)");
  EXPECT_LINE(
      page,
      R"-(sandbox_api_requests_total{endpoint="(unread)",method="(unread)",status="408"} 1)-");
}

TEST(Metrics, AMethodThatAClientMadeUpIsNoSeriesOfItsOwn) {
  Metrics metrics("1");
  metrics.request_answered({.method = "BREW", .endpoint = "(none)", .status = 404, .took = {}});
  metrics.request_answered({.method = "STEEP", .endpoint = "(none)", .status = 404, .took = {}});
  EXPECT_LINE(metrics.text({}),
              R"-(sandbox_api_requests_total{endpoint="(none)",method="(other)",status="404"} 2)-");
}

TEST(Metrics, KeysThatWereRefusedAreCountedByTheReason) {
  Metrics metrics("1");
  metrics.key_refused(KeyRefusal::kMissing);
  metrics.key_refused(KeyRefusal::kInvalid);
  metrics.key_refused(KeyRefusal::kInvalid);
  const std::string page = metrics.text({});
  EXPECT_LINE(page, R"(sandbox_auth_failures_total{auth_type="api_key",reason="missing"} 1)");
  EXPECT_LINE(page, R"(sandbox_auth_failures_total{auth_type="api_key",reason="invalid"} 2)");
}

TEST(Metrics, AJobIsCountedFromItsSubmissionToItsEnd) {
  Metrics metrics("1");
  metrics.job_submitted("5F", "1xH200");
  metrics.job_waited("1xH200", seconds(40));
  metrics.job_phase_ended("prep", "1xH200", seconds(20));
  metrics.job_ended("completed", "1xH200", "5F", seconds(100));
  metrics.job_ended("cancelled", "1xH200", "5F", std::nullopt);
  const std::string page = metrics.text({});
  EXPECT_LINE(page, R"(sandbox_jobs_submitted_total{validator="5F",weight_class="1xH200"} 1)");
  EXPECT_LINE(page, R"(sandbox_queue_wait_seconds_bucket{weight_class="1xH200",le="30"} 0)");
  EXPECT_LINE(page, R"(sandbox_queue_wait_seconds_bucket{weight_class="1xH200",le="60"} 1)");
  EXPECT_LINE(page, R"(sandbox_job_duration_seconds_sum{phase="prep",weight_class="1xH200"} 20)");
  EXPECT_LINE(page, R"(sandbox_job_duration_seconds_sum{phase="total",weight_class="1xH200"} 100)");
  EXPECT_LINE(page, R"(sandbox_job_duration_seconds_count{phase="total",weight_class="1xH200"} 1)");
  for (const char* const status : {"completed", "cancelled"}) {
    EXPECT_LINE(page, std::string(R"(sandbox_jobs_completed_total{status=")") + status +
                          R"(",validator="5F",weight_class="1xH200"} 1)");
  }
}

TEST(Metrics, AClockThatWasSetBackTakesNothingAway) {
  Metrics metrics("1");
  metrics.job_waited("0x", seconds(5));
  metrics.job_waited("0x", seconds(-50));
  metrics.job_ended("completed", "0x", "5F", seconds(-50));
  const std::string page = metrics.text({});
  EXPECT_LINE(page, R"(sandbox_queue_wait_seconds_sum{weight_class="0x"} 5)");
  EXPECT_LINE(page, R"(sandbox_job_duration_seconds_sum{phase="total",weight_class="0x"} 0)");
}

TEST(Metrics, ACallerCannotMakeSeriesWithoutEnd) {
  Metrics metrics("1");
  for (std::size_t i = 0; i < kTenantsMax + 50; ++i) {
    metrics.job_submitted("tenant-" + std::to_string(i), "0x");
  }
  for (std::size_t i = 0; i < kWeightClassesMax + 50; ++i) {
    metrics.job_waited(std::to_string(i) + "xH200", seconds(1));
  }
  const std::string page = metrics.text({});
  EXPECT_EQ(count(page, "sandbox_jobs_submitted_total{"), kTenantsMax + 1);
  EXPECT_LINE(page, R"-(sandbox_jobs_submitted_total{validator="(other)",weight_class="0x"} 50)-");
  EXPECT_EQ(count(page, "sandbox_queue_wait_seconds_count{"), kWeightClassesMax);  // one is "0x"
}

TEST(Metrics, ALabelCannotEndItsLine) {
  Metrics metrics("1");
  metrics.job_submitted("a\"} 1\nforged 7\n\xff\\", "0x");
  const std::string page = metrics.text({});
  EXPECT_EQ(page.find("\nforged"), std::string::npos) << page;
  EXPECT_LINE(page, R"(sandbox_jobs_submitted_total{validator="a\"} 1\\x0aforged 7\\x0a\\xff\\",)"
                    R"(weight_class="0x"} 1)");
}

TEST(Metrics, WhatWaitedOnceIsShownAsNone) {
  Metrics metrics("1");
  Readings readings;
  EXPECT_EQ(metrics.text(readings).find("sandbox_queue_depth"), std::string::npos);
  readings.queue = {{.weight_class = "2xH200", .priority = 7, .jobs = 3}};
  readings.active = {{.weight_class = "0x", .phase = "prep", .jobs = 1},
                     {.weight_class = "0x", .phase = "prep", .jobs = 1}};
  const std::string busy = metrics.text(readings);
  EXPECT_LINE(busy, R"(sandbox_queue_depth{priority="7",weight_class="2xH200"} 3)");
  EXPECT_LINE(busy, R"(sandbox_jobs_active{phase="prep",weight_class="0x"} 2)");
  const std::string idle = metrics.text({});
  EXPECT_LINE(idle, R"(sandbox_queue_depth{priority="7",weight_class="2xH200"} 0)");
  EXPECT_LINE(idle, R"(sandbox_jobs_active{phase="prep",weight_class="0x"} 0)");
}

TEST(Metrics, WhatTheDriverDoesNotSayIsLeftOut) {
  Metrics metrics("1");
  Readings readings;
  readings.gpus = {{.id = "0",
                    .allocated = true,
                    .utilization_percent = 93,
                    .temperature_celsius = 61,
                    .memory_used_bytes = 1'000,
                    .memory_total_bytes = 150'000'000'000},
                   {.id = "1",
                    .allocated = false,
                    .utilization_percent = {},
                    .temperature_celsius = {},
                    .memory_used_bytes = {},
                    .memory_total_bytes = {}}};
  const std::string page = metrics.text(readings);
  EXPECT_LINE(page, R"(sandbox_gpu_allocated{gpu_id="0"} 1)");
  EXPECT_LINE(page, R"(sandbox_gpu_allocated{gpu_id="1"} 0)");
  EXPECT_LINE(page, R"(sandbox_gpu_utilization_percent{gpu_id="0"} 93)");
  EXPECT_LINE(page, R"(sandbox_gpu_temperature_celsius{gpu_id="0"} 61)");
  EXPECT_LINE(page, R"(sandbox_gpu_memory_used_bytes{gpu_id="0"} 1000)");
  EXPECT_LINE(page, R"(sandbox_gpu_memory_total_bytes{gpu_id="0"} 150000000000)");
  EXPECT_EQ(count(page, R"(gpu_id="1")"), 1u);
  EXPECT_EQ(page.find("sandbox_cpu_usage_percent"), std::string::npos);
}

TEST(Metrics, RunsHaveOutcomesSlotsAndDurations) {
  Metrics metrics("1");
  Readings readings;
  readings.runs.slots = 4;
  readings.runs.running = 1;
  readings.runs.parked = 3;
  readings.runs.outcomes = {{"exited", 5}, {"denied", 0}};
  readings.runs.ran = {.upper_us = {1'000, 1'000'000}, .counts = {2, 2, 1}, .sum_us = 9'000'000};
  const std::string page = metrics.text(readings);
  EXPECT_LINE(page, R"(airlock_runs_total{outcome="exited"} 5)");
  EXPECT_LINE(page, R"(airlock_runs_total{outcome="denied"} 0)");
  EXPECT_LINE(page, R"(airlock_run_slots{state="in_use"} 1)");
  EXPECT_LINE(page, R"(airlock_run_slots{state="free"} 3)");
  EXPECT_LINE(page, "airlock_parked_sandboxes 3");
  EXPECT_LINE(page, R"(airlock_run_duration_seconds_bucket{le="0.001"} 2)");
  EXPECT_LINE(page, R"(airlock_run_duration_seconds_bucket{le="1"} 4)");
  EXPECT_LINE(page, R"(airlock_run_duration_seconds_bucket{le="+Inf"} 5)");
  EXPECT_LINE(page, "airlock_run_duration_seconds_count 5");
  EXPECT_LINE(page, "airlock_run_duration_seconds_sum 9");
}

TEST(Metrics, WhatPassedTheGatewayHasADirection) {
  Metrics metrics("1");
  Readings readings;
  readings.egress = {.connections = {{"made", 3}, {"refused", 1}}, .bytes_out = 7, .bytes_in = 9};
  const std::string page = metrics.text(readings);
  EXPECT_LINE(page, R"(airlock_egress_connections_total{result="made"} 3)");
  EXPECT_LINE(page, R"(airlock_egress_connections_total{result="refused"} 1)");
  EXPECT_LINE(page, R"(airlock_egress_bytes_total{direction="out"} 7)");
  EXPECT_LINE(page, R"(airlock_egress_bytes_total{direction="in"} 9)");
}

TEST(Metrics, TheMachineIsShownAsItWasRead) {
  Metrics metrics("1");
  Readings readings;
  readings.host.cpu_usage_percent = 12.5;
  readings.host.memory_used_bytes = 3;
  readings.host.memory_total_bytes = 4;
  readings.host.disks = {{.mount = "/srv/a\"b", .used_bytes = 1, .total_bytes = 2}};
  readings.host.cpu_seconds = 1.5;
  const std::string page = metrics.text(readings);
  EXPECT_LINE(page, "sandbox_cpu_usage_percent 12.5");
  EXPECT_LINE(page, "sandbox_memory_used_bytes 3");
  EXPECT_LINE(page, "sandbox_memory_total_bytes 4");
  EXPECT_LINE(page, R"(sandbox_disk_used_bytes{mount="/srv/a\"b"} 1)");
  EXPECT_LINE(page, R"(sandbox_disk_total_bytes{mount="/srv/a\"b"} 2)");
  EXPECT_LINE(page, "process_cpu_seconds_total 1.5");
}

}  // namespace
}  // namespace airlock::telemetry
