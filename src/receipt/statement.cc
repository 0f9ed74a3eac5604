#include "receipt/statement.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "receipt/canonical_json.h"
#include "receipt/digest.h"
#include "receipt/envelope.h"

namespace airlock::receipt {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

// Guests and callers choose these texts.
value text(std::string_view bytes) { return value(json_safe(bytes)); }

value text_or_null(std::string_view bytes) {
  if (bytes.empty()) return nullptr;
  return text(bytes);
}

template <typename T>
array texts(const T& list) {
  array result;
  for (const std::string& item : list) result.push_back(text(item));
  return result;
}

value time_or_null(const std::optional<model::WallTime>& time) {
  if (!time) return nullptr;
  return value(utc_time(*time));
}

template <typename T>
value number_or_null(const std::optional<T>& number) {
  if (!number) return nullptr;
  return value(static_cast<std::int64_t>(*number));
}

array artifacts(std::vector<model::ArtifactDigest> files) {
  std::ranges::sort(files, {}, &model::ArtifactDigest::path);
  array result;
  for (const model::ArtifactDigest& file : files) {
    result.push_back(object{
        {"path", text(file.path)}, {"size", file.size.count()}, {"sha256", text(file.sha256)}});
  }
  return result;
}

object outcome_object(const model::Outcome& outcome) {
  array limits;
  for (const model::LimitKind kind : outcome.limits_hit) {
    limits.emplace_back(model::limit_name(kind));
  }
  return {{"kind", model::outcome_name(outcome.kind)},
          {"exit_code", number_or_null(outcome.exit_code)},
          {"signal", outcome.signal ? value(model::signal_name(*outcome.signal)) : value(nullptr)},
          {"detail", text_or_null(outcome.detail)},
          {"limits_hit", std::move(limits)}};
}

object isolation_object(const model::Isolation& isolation) {
  object described = {{"backend", text(isolation.backend)},
                      {"level", model::isolation_level_name(isolation.level)},
                      {"tier", text(isolation.tier)},
                      {"cgroup", model::cgroup_version_name(isolation.cgroup)},
                      {"network", text(isolation.network)},
                      {"seccomp", text(isolation.seccomp)},
                      {"rootless", isolation.rootless},
                      {"missing", texts(isolation.missing)}};
  if (!isolation.image.empty()) described["image"] = text(isolation.image);
  if (!isolation.fallback_from.empty()) {
    described["fallback"] = {{"from", text(isolation.fallback_from)},
                             {"reason", text(isolation.fallback_reason)}};
  }
  return described;
}

object usage_object(const model::Usage& usage) {
  const auto memory = usage.memory_peak ? std::optional(usage.memory_peak->count()) : std::nullopt;
  return {{"wall_us", usage.wall.count()},
          {"user_us", usage.user.count()},
          {"system_us", usage.system.count()},
          {"memory_peak_bytes", number_or_null(memory)},
          {"pids_peak", number_or_null(usage.pids_peak)}};
}

object phase_object(const model::PhaseRecord& phase, const StatementFacts& facts) {
  const auto command = facts.commands.find(phase.name);
  array denied;
  for (const model::Denial& denial : phase.denied) {
    denied.push_back(object{{"what", text(denial.what)}, {"rule", text(denial.rule)}});
  }
  return {{"name", text(phase.name)},
          {"attempt", phase.attempt},
          {"command", command == facts.commands.end() ? array() : texts(command->second)},
          {"started_at", utc_time(phase.started_at)},
          {"ended_at", time_or_null(phase.ended_at)},
          {"outcome", phase.outcome ? value(outcome_object(*phase.outcome)) : value(nullptr)},
          {"usage", usage_object(phase.usage)},
          {"isolation", isolation_object(phase.isolation)},
          {"denied", std::move(denied)},
          {"log", object{{"bytes", phase.log_bytes}, {"truncated", phase.log_truncated}}}};
}

array egress_array(const std::vector<model::EgressEntry>& entries) {
  array result;
  for (const model::EgressEntry& entry : entries) {
    result.push_back(object{{"phase", text(entry.phase)},
                            {"host", text(entry.host)},
                            {"port", entry.port},
                            {"allowed", entry.allowed},
                            {"reason", text_or_null(entry.reason)},
                            {"connections", entry.connections},
                            {"bytes_out", entry.bytes_out},
                            {"bytes_in", entry.bytes_in}});
  }
  return result;
}

object job_object(const model::JobRecord& record) {
  array environment;
  for (const auto& [name, unsaid] : record.spec.env) environment.push_back(text(name));
  array gpus;
  for (const model::AssignedGpu& gpu : record.gpus) {
    gpus.push_back(object{{"index", gpu.index}, {"uuid", text(gpu.uuid)}});
  }
  return {{"id", text(record.id)},
          {"attempts", record.attempts},
          {"challenge", text_or_null(record.spec.challenge)},
          {"validator_hotkey", text_or_null(record.spec.validator_hotkey)},
          {"miner_hotkey", text_or_null(record.spec.miner_hotkey)},
          {"weight_class", text(record.spec.weight_class.to_string())},
          {"environment", std::move(environment)},
          {"gpus", std::move(gpus)},
          {"submitted_at", utc_time(record.submitted_at)},
          {"started_at", time_or_null(record.started_at)},
          {"completed_at", time_or_null(record.completed_at)}};
}

object source_object(const model::JobRecord& record) {
  return {{"url", text(record.spec.repo_url)},
          {"branch", text_or_null(record.spec.repo_branch)},
          {"path", text_or_null(record.spec.repo_path)},
          {"requested_commit", text_or_null(record.spec.repo_commit)},
          {"commit", text_or_null(record.resolved_commit)},
          {"tree_sha256", text_or_null(record.source_digest)}};
}

value contract_value(const std::optional<ContractHashes>& hashes) {
  if (!hashes) return nullptr;
  return object{
      {"job_id", text(hashes->result.job_id)}, {"status", text(hashes->result.status)},
      {"exit_code", hashes->result.exit_code}, {"timestamp", text(hashes->result.timestamp)},
      {"logs_hash", hashes->logs_hash},        {"execution_hash", hashes->execution_hash}};
}

object manifest_object(const model::JobRecord& record) {
  array phases;
  for (const model::PhaseRecord& phase : record.phases) {
    phases.push_back(object{
        {"name", text(phase.name)},
        {"attempt", phase.attempt},
        {"outcome", phase.outcome ? value(outcome_object(*phase.outcome)) : value(nullptr)}});
  }
  return {{"job_id", text(record.id)},
          {"state", model::job_state_name(record.state)},
          {"error_code", text_or_null(record.error_code)},
          {"error_message", text_or_null(record.error_message)},
          {"phases", std::move(phases)},
          {"outputs", artifacts(record.outputs)}};
}

object predicate_object(const model::JobRecord& record, const StatementFacts& facts,
                        const PublicKey& key, object manifest) {
  array phases;
  for (const model::PhaseRecord& phase : record.phases) {
    phases.push_back(phase_object(phase, facts));
  }
  return {{"job", job_object(record)},
          {"manifest", std::move(manifest)},
          {"source", source_object(record)},
          {"build",
           object{{"digest", text_or_null(record.build_digest)}, {"cached", record.build_cached}}},
          {"inputs", object{{"uri", text_or_null(record.spec.input_uri)},
                            {"seen_in_prep", facts.prep_sees_input},
                            {"files", artifacts(record.inputs)}}},
          {"output_uri", text_or_null(record.spec.output_uri)},
          {"phases", std::move(phases)},
          {"seal", object{{"sealed", record.seal.sealed},
                          {"sealed_at", time_or_null(record.seal.sealed_at)},
                          {"processes_killed", record.seal.processes_killed},
                          {"connections_closed", record.seal.connections_closed}}},
          {"egress", egress_array(record.egress)},
          {"contract_hashes", contract_value(facts.contract)},
          {"runner", object{{"id", text(facts.runner_id)},
                            {"key_id", key.id()},
                            {"public_key", encode_base64(key.raw())}}},
          {"previous", text_or_null(facts.previous)}};
}

}  // namespace

std::string utc_time(model::WallTime time) {
  std::string text = naive_utc(time);
  if (text.find('.') == std::string::npos) text += ".000000";
  return text + "Z";
}

base::Status check_artifact_list(const std::vector<model::ArtifactDigest>& files) {
  if (canonical_json(artifacts(files)).size() <= kArtifactListBytesMax.count()) return {};
  return base::fail(base::ErrorCode::kLimitExceeded,
                    "a receipt cannot name " + std::to_string(files.size()) +
                        " files with names this long: their list is larger than " +
                        base::format_byte_count(kArtifactListBytesMax));
}

std::string make_manifest(const model::JobRecord& record) {
  return canonical_json(manifest_object(record));
}

std::string make_statement(const model::JobRecord& record, const StatementFacts& facts,
                           const PublicKey& key) {
  object manifest = manifest_object(record);
  const object subject{{"name", kManifestName},
                       {"digest", object{{"sha256", sha256_hex(canonical_json(manifest))}}}};
  return canonical_json(
      object{{"_type", kStatementType},
             {"subject", array{subject}},
             {"predicateType", kPredicateType},
             {"predicate", predicate_object(record, facts, key, std::move(manifest))}});
}

base::Result<SignedReceipt> make_receipt(const model::JobRecord& record,
                                         const StatementFacts& facts, const SigningKey& key) {
  SignedReceipt receipt;
  AIRLOCK_ASSIGN(receipt.envelope,
                 sign_envelope(make_statement(record, facts, key.public_key()), key));
  receipt.digest = sha256_hex(receipt.envelope);
  return receipt;
}

}  // namespace airlock::receipt
