// A job record, facts and a key that tests share: the same receipt every time.
//
// The committed receipt of tests/blackbox/data is made from them. For tests only.
#pragma once

#include <string>

#include "receipt/statement.h"

namespace airlock::receipt {

inline model::WallTime at(std::int64_t micros) {
  return model::WallTime(std::chrono::microseconds(1'769'774'400'000'000 + micros));
}

inline SigningKey test_key(char fill = 'k') {
  return std::move(*SigningKey::from_seed(std::string(kKeyBytes, fill)));
}

inline model::PhaseRecord test_phase(const std::string& name, const std::string& network) {
  model::PhaseRecord phase;
  phase.name = name;
  phase.started_at = at(1'000'000);
  phase.ended_at = at(3'500'000);
  phase.outcome.emplace();
  phase.outcome->kind = model::OutcomeKind::kExited;
  phase.outcome->exit_code = 0;
  phase.usage = {.wall = std::chrono::microseconds(2'500'000),
                 .user = std::chrono::microseconds(1'200'000),
                 .system = std::chrono::microseconds(34'000),
                 .memory_peak = base::mebibytes(17),
                 .pids_peak = 3};
  phase.isolation.network = network;
  phase.isolation.missing = {"core_scheduling", "landlock"};
  phase.log_bytes = 420;
  return phase;
}

inline model::JobRecord test_record() {
  model::JobRecord record;
  record.id = "job_0123456789ab";
  record.spec.repo_url = "https://github.com/example/solver";
  record.spec.miner_hotkey = "miner";
  record.spec.challenge = "nonce-42";
  record.spec.input_uri = "s3://bucket/in";
  record.spec.env = {{"TOKEN", "a secret"}, {"SEED", "7"}};
  record.state = model::JobState::kCompleted;
  record.submitted_at = at(0);
  record.started_at = at(500'000);
  record.completed_at = at(9'000'000);
  record.attempts = 1;
  record.gpus = {{.index = 3, .uuid = "GPU-00000000-0000-0000-0000-000000000003"}};
  record.resolved_commit = std::string(40, 'c');
  record.source_digest = std::string(64, 'd');
  record.build_digest = std::string(64, 'b');
  record.phases = {test_phase("prep", "gateway"), test_phase("inference", "none")};
  record.phases[0].denied = {{.what = "ptrace", .rule = "seccomp default: ptrace", .fix = "none"}};
  record.egress = {{"prep", "huggingface.co", 443, true, "", 2, 4'096, 1'048'576},
                   {"prep", "evil.example", 443, false, "not in the allow-list", 1, 0, 0}};
  record.seal = {
      .sealed = true, .sealed_at = at(4'000'000), .processes_killed = 2, .connections_closed = 1};
  record.inputs = {{"input_data", base::ByteCount(3), std::string(64, 'a')}};
  // "abc\n" and "hello\n".
  record.outputs = {{"z/b.txt", base::ByteCount(6),
                     "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"},
                    {"a.txt", base::ByteCount(4),
                     "edeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb"}};
  return record;
}

inline StatementFacts test_facts() {
  StatementFacts facts;
  facts.runner_id = "runner-1";
  facts.previous = std::string(64, '0');
  facts.commands = {{"prep", {"python3", "inference.py", "--phase", "prep"}},
                    {"inference", {"python3", "inference.py", "--phase", "inference"}}};
  facts.contract = hash_for_contract({.job_id = "job_0123456789ab",
                                      .status = "completed",
                                      .exit_code = 0,
                                      .timestamp = naive_utc(at(9'000'000))},
                                     "done\n");
  return facts;
}

}  // namespace airlock::receipt
