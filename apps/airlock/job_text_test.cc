#include "apps/airlock/job_text.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "client/wire_time.h"

namespace airlock::apps {
namespace {

using boost::json::object;

constexpr std::string_view kJob = R"({
  "job_id": "job_1", "status": "failed", "weight_class": "2xH200", "assigned_gpus": [0, 1],
  "priority": 3, "submitted_at": "2026-01-01T00:00:00.5", "started_at": "2026-01-01T00:00:10",
  "completed_at": "2026-01-01T00:01:20", "current_phase": "failed", "progress_percentage": 75,
  "error_code": "inference_failed", "error_message": "Inference phase failed: exit code 4",
  "repo_url": "https://github.com/a/b", "repo_branch": "main",
  "repo_commit": "0123456789abcdef0123456789abcdef01234567", "attempts": 2, "runner_id": "r",
  "challenge": "c", "phases": [{"name": "prep", "attempt": 2, "ended_at": "x", "result":
    {"outcome": "exited", "exit_code": 0, "usage": {"wall_ms": 1500, "memory_peak_bytes": 1048576},
     "isolation": {"network": "gateway"}, "denied": [{"what": "ptrace", "rule": "never"}]}}],
  "egress": [{"phase": "prep", "host": "h.example", "port": 443, "allowed": true,
              "connections": 1, "bytes_in": 2048, "bytes_out": 10},
             {"phase": "prep", "host": "gone.example", "port": 443, "allowed": true,
              "reason": "the name does not exist", "connections": 1},
             {"phase": "prep", "host": "evil.example", "port": 22, "allowed": false,
              "reason": "not in the allow-list"}],
  "seal": {"sealed": true, "sealed_at": "2026-01-01T00:00:20", "processes_killed": 1,
           "connections_closed": 2},
  "outputs": [{"path": "r.json", "size": 3, "sha256": "aaaaaaaaaaaaaaaaaaaaaaaa"}],
  "has_receipt": true})";

object parse(std::string_view json) { return boost::json::parse(json).get_object(); }
model::WallTime now() { return *client::parse_wire_time("2026-01-01T01:00:00.5"); }

TEST(JobTextTest, AJobIsToldWhole) {
  const std::string text = describe_job(parse(kJob), now(), " --server U");
  for (const char* const part :
       {"job_1: failed\n", "inference_failed: Inference phase failed: exit code 4",
        "https://github.com/a/b at 0123456789abcdef, branch main", "2xH200, GPU 0,1, priority 3",
        "2026-01-01 00:00:00 UTC, 1 h 00 min ago", "1 min 10 s, attempt 2",
        "exited, exit code 0, 1.50 s, 1 MiB at most, network gateway, attempt 2",
        "denied ptrace: never",
        "  reached      prep: h.example:443, 1 connection, 10 B out, 2 KiB in\n",
        "  failed       prep: gone.example:443: the name does not exist\n",
        "  refused      prep: evil.example:22: not in the allow-list\n",
        "2026-01-01 00:00:20 UTC, 1 process killed, 2 connections closed",
        "r.json, 3 B, sha256 aaaaaaaaaaaaaaaa\n", "airlock outputs job_1 -o DIR --server U",
        "airlock outputs job_1 --receipt FILE --server U"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(JobTextTest, AgesAreAsCoarseAsTheirClock) {
  const auto age = [](std::string_view submitted) {
    return job_age(object{{"submitted_at", submitted}}, now());
  };
  EXPECT_EQ(age("2026-01-01T01:00:01"), "0 s");
  EXPECT_EQ(age("2026-01-01T00:59:30.4"), "30 s");
  EXPECT_EQ(age("2026-01-01T00:00:00"), "1 h 00 min");
  EXPECT_EQ(age("2025-12-30T00:00:00"), "2 d 1 h");
  EXPECT_EQ(age("yesterday"), "-");
  EXPECT_EQ(job_duration(object{{"started_at", "2026-01-01T00:59:59"}}, now()), "1 s");
}

TEST(JobTextTest, TheEndSaysWhatToDoNext) {
  const std::string failed = describe_end(parse(kJob), now(), "");
  EXPECT_NE(failed.find("airlock: job_1 failed after 1 min 10 s\n"), std::string::npos) << failed;
  EXPECT_NE(failed.find("airlock logs job_1\n"), std::string::npos);
  const std::string done = describe_end(parse(R"({"job_id":"j","status":"completed"})"), now(), "");
  EXPECT_NE(done.find("outputs      none"), std::string::npos) << done;
  EXPECT_EQ(done.find("airlock logs"), std::string::npos);
}

TEST(JobTextTest, WhatIsMissingOrOfAnotherKindHarmsNobody) {
  for (const char* const json :
       {"{}", R"({"phases":7,"egress":{},"outputs":[1,null,[]],"seal":"x","job_id":7})",
        R"({"phases":[{"result":{"usage":{"wall_ms":1e300,"memory_peak_bytes":-1}}}],)"
        R"("priority":-1,"egress":[{}],"outputs":[{}],"submitted_at":"2026"})"}) {
    EXPECT_FALSE(describe_job(parse(json), now(), "").empty());
    EXPECT_FALSE(describe_end(parse(json), now(), "").empty());
    EXPECT_FALSE(describe_runner(parse(json)).empty());
  }
}

TEST(JobTextTest, NoTextOfAServiceObeysTheTerminal) {
  object job = parse(kJob);
  for (auto& member : job) {
    if (member.value().is_string()) member.value() = "\x1b[2J\xc2\x9bx\n";
  }
  for (const char* const list : {"phases", "egress", "outputs"}) {
    for (auto& item : job[list].get_array()) {
      for (auto& member : item.get_object()) {
        if (member.value().is_string()) member.value() = "\x1b]0;x\x07\n";
      }
    }
  }
  for (const std::string& text : {describe_job(job, now(), ""), describe_end(job, now(), "")}) {
    EXPECT_EQ(text.find_first_of("\x1b\x07\xc2"), std::string::npos);
  }
}

TEST(JobTextTest, LongListsAreCutOff) {
  object job = parse("{}");
  boost::json::array outputs;
  for (int i = 0; i < 10'000; ++i) outputs.push_back(object{{"path", "p"}});
  job["outputs"] = std::move(outputs);
  EXPECT_LT(describe_job(job, now(), "").size(), 10'000u);
  EXPECT_NE(describe_job(job, now(), "").find("... and more"), std::string::npos);
}

TEST(JobTextTest, ARunnerIsToldWhole) {
  const std::string text = describe_runner(parse(
      R"({"runner_id":"r","status":"operational","execution_mode":"direct","total_gpus":8,
          "available_gpus":6,"gpu_note":"one is ill","cpu_cores_total":16,"cpu_cores_free":2.5,
          "memory_bytes_total":1073741824,"memory_bytes_free":0,"queue_depth":1,
          "active_job_ids":["job_1","job_2"],"jobs":{"completed":10,"failed":2}})"));
  for (const char* const part : {"runner r: operational, direct\n", "6 of 8 free: one is ill",
                                 "2.5 of 16.0 free", "0 B of 1 GiB free", "1 job waits",
                                 "job_1 job_2", "10 completed, 2 failed, 0 timeout, 0 cancelled"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

}  // namespace
}  // namespace airlock::apps
