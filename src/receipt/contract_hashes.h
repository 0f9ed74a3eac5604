// The two hashes that a compute network's oracle asks for, with what is needed to compute them
// again.
//
// logsHash is the SHA-256 of the logs as they were sent. executionHash is the SHA-256 of what
// Python's json.dumps(..., sort_keys=True) makes of job, logs, result and a time; a verifier can
// only compute it if the time is told, which is why it stands beside the hash. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "model/job.h"

namespace airlock::receipt {

struct ContractResult {
  std::string job_id;
  std::string status;  // "completed", "failed", "timeout"
  int exit_code = 0;
  std::string timestamp;  // as it is hashed: naive_utc, "2025-01-30T12:00:00.123456"
};

struct ContractHashes {
  ContractResult result;
  std::string logs_hash;       // 64 hexadecimal digits
  std::string execution_hash;  // 64 hexadecimal digits
};

// `logs` is UTF-8: as sent, after all cutting. A byte that is not counts as U+FFFD in the
// executionHash.
ContractHashes hash_for_contract(ContractResult result, std::string_view logs);

// Six digits of fraction, or none at all on a whole second.
std::string naive_utc(model::WallTime time);

}  // namespace airlock::receipt
