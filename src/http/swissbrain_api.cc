#include "http/swissbrain_api.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <utility>

#include "http/json_reader.h"
#include "http/json_text.h"
#include "http/run_limits.h"
#include "http/shell_status.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

constexpr std::string_view kFallbackTier = "standard";
constexpr double kBytesPerMebibyte = 1024.0 * 1024.0;

ApiResult<std::string> read_text(const JsonObject& request, std::string_view key,
                                 std::size_t bytes_max) {
  AIRLOCK_ASSIGN(const auto text, request.text(key));
  if (text && text->size() > bytes_max) {
    return refuse_request(std::string(key) + " has " + std::to_string(text->size()) +
                          " bytes; at most " + std::to_string(bytes_max) + " are allowed");
  }
  return std::string(text.value_or(""));
}

ApiResult<std::chrono::milliseconds> read_wall_time(const JsonObject& request,
                                                    const SwissbrainTier& tier) {
  AIRLOCK_ASSIGN(const auto seconds, request.number("timeout_seconds"));
  if (!seconds) return tier.wall_time_max;
  if (!(*seconds > 0)) return refuse_request("timeout_seconds must be a number above 0");
  const double wanted = std::ceil(*seconds * 1000);
  if (wanted >= static_cast<double>(tier.wall_time_max.count())) return tier.wall_time_max;
  return std::chrono::milliseconds(static_cast<std::int64_t>(wanted));
}

std::string supported_text(const RunCatalog& catalog) {
  std::string text = "Invalid language. Supported: python, javascript, shell";
  for (const std::string& name : catalog.names()) {
    if (name != "python" && name != "javascript" && name != "shell") text += ", " + name;
  }
  return text;
}

ApiResult<language::RunPlan> make_plan(const RunCatalog& catalog, const std::string& language,
                                       const SwissbrainTier& tier,
                                       std::chrono::milliseconds wall_time,
                                       const model::LimitsGiven& maxima) {
  model::LimitsGiven given;
  given.wall_time = wall_time;
  // What a rate over the wall time comes to, and where the host has no rate, no more than that.
  given.cpu_time = std::max(wall_time * tier.cpu_rate_percent / 100, wall_time);
  given.memory = tier.memory;
  given.pids = tier.pids;
  given.cpu_rate_percent = tier.cpu_rate_percent;
  given.output = tier.output;
  given.disk = tier.disk;
  given.open_files = tier.open_files;
  const std::string name = language == "shell" ? "bash" : language;
  if (!catalog.knows(name)) return refuse_request(supported_text(catalog));
  return at_field("", catalog.plan(name, {.file_name = {},
                                          .args = {},
                                          .limits = capped_by(maxima, given.over({}), given)}));
}

// The phase whose streams and status say how it went.
const model::RunResult* telling_phase(const model::RunResult& result) {
  if (result.compile == nullptr) return &result;
  const model::Outcome& outcome = result.compile->outcome;
  const bool compiled = outcome.kind == model::OutcomeKind::kExited && outcome.exit_code == 0;
  return compiled ? &result : result.compile.get();
}

boost::json::value memory_json(const model::Usage& usage) {
  if (!usage.memory_peak) return nullptr;
  const double mebibytes = static_cast<double>(usage.memory_peak->count()) / kBytesPerMebibyte;
  return std::round(mebibytes * 100) / 100;
}

}  // namespace

const SwissbrainTier& find_swissbrain_tier(std::string_view name) {
  const auto find = [](std::string_view wanted) {
    return std::ranges::find(kSwissbrainTiers, wanted, &SwissbrainTier::name);
  };
  const auto* found = find(name);
  return found == std::end(kSwissbrainTiers) ? *find(kFallbackTier) : *found;
}

ApiResult<SwissbrainRun> parse_swissbrain_run(std::string_view body, const RunCatalog& catalog,
                                              const SwissbrainLimits& limits) {
  AIRLOCK_TRY(check_body_size(body, limits.body_bytes_max));
  AIRLOCK_ASSIGN(const boost::json::value value, parse_json(body));
  AIRLOCK_ASSIGN(const JsonObject request, JsonObject::from(value, ""));
  AIRLOCK_ASSIGN(const std::string code, read_text(request, "code", limits.code_bytes_max));
  AIRLOCK_ASSIGN(const std::string language, read_text(request, "language", kShownBytesMax));
  if (code.empty() || language.empty())
    return refuse_request("Missing required fields: code, language");
  SwissbrainRun run;
  AIRLOCK_ASSIGN(run.user_id, read_text(request, "user_id", limits.user_id_bytes_max));
  AIRLOCK_ASSIGN(const auto tier_name, request.text("tier"));
  const SwissbrainTier& tier = find_swissbrain_tier(tier_name.value_or(kSwissbrainTierDefault));
  run.tier = tier.name;
  AIRLOCK_ASSIGN(const std::chrono::milliseconds wall_time, read_wall_time(request, tier));
  AIRLOCK_ASSIGN(language::RunPlan plan,
                 make_plan(catalog, language, tier, wall_time, limits.maxima));
  AIRLOCK_TRY(at_field("", set_program(run.run, plan, code)));
  AIRLOCK_TRY(at_field("", set_environment(run.run, {plan.env})));
  if (limits.network) {
    run.run.request.spec.network = model::NetworkMode::kGateway;
    run.run.request.egress = limits.egress;
    run.run.request.egress_budget = limits.egress_budget;
  }
  if (request.has("stdin")) {
    AIRLOCK_ASSIGN(const std::string text, read_text(request, "stdin", limits.stdin_bytes_max));
    AIRLOCK_TRY(at_field("", set_stdin(run.run, text)));
  }
  return run;
}

std::optional<ApiError> swissbrain_failure(const model::RunResult& result) {
  const model::Outcome& outcome = telling_phase(result)->outcome;
  if (outcome.kind != model::OutcomeKind::kSetupFailed) return std::nullopt;
  return ApiError{
      .status = 500, .code = "internal", .message = outcome.detail, .hint = {}, .field = {}};
}

std::string swissbrain_result_json(const model::RunResult& result) {
  const model::RunResult& phase = *telling_phase(result);
  boost::json::object object;
  object["stdout"] = utf8_with_replacement(phase.stdout_bytes);
  object["stderr"] = utf8_with_replacement(phase.stderr_bytes);
  object["exit_code"] = shell_status(phase.outcome);
  object["execution_time_ms"] =
      std::chrono::duration_cast<std::chrono::milliseconds>(phase.usage.wall).count();
  object["memory_used_mb"] = memory_json(phase.usage);
  object["truncated"] = phase.stdout_truncated || phase.stderr_truncated;
  object["security_warnings"] = boost::json::array();
  object["outcome"] = model::outcome_name(phase.outcome.kind);
  return json_text(object);
}

std::string swissbrain_error_json(const ApiError& error) {
  return boost::json::serialize(boost::json::object{{"error", printable_utf8(error.message)}});
}

}  // namespace airlock::http
