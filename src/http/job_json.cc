#include "http/job_json.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "http/json_text.h"
#include "http/text_encoding.h"
#include "http/verdict_json.h"

namespace airlock::http {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

array gpu_indices(const model::JobRecord& record) {
  array indices;
  for (const model::AssignedGpu& gpu : record.gpus) indices.emplace_back(gpu.index);
  return indices;
}

array gpu_uuids(const model::JobRecord& record) {
  array uuids;
  for (const model::AssignedGpu& gpu : record.gpus) uuids.emplace_back(gpu.uuid);
  return uuids;
}

object phase_json(const model::PhaseRecord& phase) {
  object json{{"name", phase.name},
              {"attempt", phase.attempt},
              {"started_at", naive_time(phase.started_at)},
              {"ended_at", naive_time_or_null(phase.ended_at)},
              {"log_bytes", phase.log_bytes},
              {"log_truncated", phase.log_truncated}};
  if (phase.outcome) {
    object result = outcome_json(*phase.outcome);
    result["limits_hit"] = limits_hit_json(*phase.outcome);
    result["usage"] = usage_json(phase.usage);
    result["isolation"] = isolation_json(phase.isolation);
    result["denied"] = denied_json(phase.denied);
    json["result"] = std::move(result);
  } else {
    json["result"] = nullptr;
  }
  return json;
}

value seconds_or_null(const std::optional<std::chrono::milliseconds>& time) {
  if (!time) return nullptr;
  return value(std::chrono::ceil<std::chrono::seconds>(*time).count());
}

array artifacts_json(const std::vector<model::ArtifactDigest>& artifacts) {
  array all;
  for (const model::ArtifactDigest& artifact : artifacts) {
    all.push_back({{"path", printable_utf8(artifact.path)},
                   {"size", artifact.size.count()},
                   {"sha256", artifact.sha256}});
  }
  return all;
}

object seal_json(const model::SealRecord& seal) {
  return {{"sealed", seal.sealed},
          {"sealed_at", naive_time_or_null(seal.sealed_at)},
          {"processes_killed", seal.processes_killed},
          {"connections_closed", seal.connections_closed}};
}

}  // namespace

std::string naive_time(model::WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> text;
  const int length = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06d", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

value naive_time_or_null(const std::optional<model::WallTime>& time) {
  if (!time) return nullptr;
  return value(naive_time(*time));
}

std::string job_error_json(const ApiError& error) {
  const std::string hint = error.hint.empty() ? "" : "; " + error.hint;
  if (error.status == 422) {
    const object one{{"type", "value_error"},
                     {"loc", array{"body", error.field}},
                     {"msg", error.message + hint},
                     {"input", nullptr}};
    return boost::json::serialize(object{{"detail", array{one}}});
  }
  object body{{"detail", error.message + hint}};
  if (error.status == 400) body["error"] = "Bad Request";
  if (error.status == 500) {
    body["error"] = "Internal Server Error";
    body["detail"] = "An unexpected error occurred";
  }
  return boost::json::serialize(body);
}

std::string submitted_json(const model::JobRecord& record, std::uint32_t position,
                           const std::optional<model::WallTime>& estimated_start) {
  return json_text(object{{"job_id", record.id},
                          {"status", model::job_state_name(record.state)},
                          {"estimated_start_time", naive_time_or_null(estimated_start)},
                          {"queue_position", position}});
}

value execution_seconds(const model::JobRecord& record) {
  if (!record.started_at || !record.completed_at) return nullptr;
  return std::chrono::duration<double>(*record.completed_at - *record.started_at).count();
}

object job_summary_json(const model::JobRecord& record) {
  return {{"job_id", record.id},
          {"status", model::job_state_name(record.state)},
          {"weight_class", record.spec.weight_class.to_string()},
          {"submitted_at", naive_time(record.submitted_at)},
          {"started_at", naive_time_or_null(record.started_at)},
          {"completed_at", naive_time_or_null(record.completed_at)},
          {"current_phase", text_or_null(record.phase)},
          {"progress_percentage", record.progress},
          {"error_message", text_or_null(record.error_message)},
          {"validator_hotkey", text_or_null(record.spec.validator_hotkey)},
          {"miner_hotkey", record.spec.miner_hotkey},
          {"priority", record.spec.priority},
          {"repo_url", record.spec.repo_url}};
}

object job_json(const model::JobRecord& record) {
  object json = job_summary_json(record);
  json["assigned_gpus"] = record.gpus.empty() ? value(nullptr) : value(gpu_indices(record));
  json["input_data_s3_path"] = record.spec.input_uri;
  json["output_data_s3_path"] = record.spec.output_uri;
  // Ours, beside the contract.
  json["error_code"] = text_or_null(record.error_code);
  json["cancel_requested"] = record.cancel_requested;
  json["repo_branch"] = record.spec.repo_branch;
  json["repo_commit"] = text_or_null(record.resolved_commit);
  json["source_digest"] = text_or_null(record.source_digest);
  json["build_digest"] = text_or_null(record.build_digest);
  json["build_cached"] = record.build_cached;
  json["challenge"] = text_or_null(record.spec.challenge);
  json["gpu_uuids"] = gpu_uuids(record);
  json["runner_id"] = text_or_null(record.runner_id);
  json["attempts"] = record.attempts;
  json["prep_timeout_seconds"] = seconds_or_null(record.spec.prep_timeout);
  json["inference_timeout_seconds"] = seconds_or_null(record.spec.inference_timeout);
  array phases;
  for (const model::PhaseRecord& phase : record.phases) phases.push_back(phase_json(phase));
  json["phases"] = std::move(phases);
  json["egress"] = egress_json(record.egress, EgressPhases::kShown);
  json["seal"] = seal_json(record.seal);
  json["inputs"] = artifacts_json(record.inputs);
  json["outputs"] = artifacts_json(record.outputs);
  json["has_receipt"] = record.has_receipt;
  return json;
}

std::string job_results_json(const model::JobRecord& record, value metrics) {
  return json_text(object{{"job_id", record.id},
                          {"status", model::job_state_name(record.state)},
                          {"miner_hotkey", record.spec.miner_hotkey},
                          {"completed_at", naive_time_or_null(record.completed_at)},
                          {"metrics", std::move(metrics)},
                          {"execution_time", execution_seconds(record)},
                          {"error_message", text_or_null(record.error_message)}});
}

}  // namespace airlock::http
