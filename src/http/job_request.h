// The request of POST /v1/jobs/submit, as JSON, into a model::JobSpec.
//
//   {"repo_url", "repo_branch": "main", "repo_commit": null, "repo_path": "", "weight_class",
//    "input_data_s3_path", "output_data_s3_path", "priority": 0, "validator_hotkey": null,
//    "miner_hotkey", "custom_env_vars": {}}
//   and, beside the contract: "challenge", "min_isolation", "cpu_cores", "memory_gb",
//   "disk_quota_gb", "prep_timeout_seconds", "inference_timeout_seconds"
//
// Strict: an unknown key is refused with the nearest valid one, and so is a key of the contract
// that this runner cannot obey (use_vllm). Paths may be left out: a job may have no input, and
// outputs that stay with the runner. Whether the repository may be cloned is for source/ to say.
#pragma once

#include <string_view>

#include "http/api_error.h"
#include "model/job.h"

namespace airlock::http {

// The environment of a job is the largest part of it.
inline constexpr std::size_t kJobBodyBytesMax = 1u << 20;

// 422 for everything that is wrong with it, also for what is no JSON; 413 above kJobBodyBytesMax.
ApiResult<model::JobSpec> parse_job_request(std::string_view body);

}  // namespace airlock::http
