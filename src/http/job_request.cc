#include "http/job_request.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "http/json_reader.h"

namespace airlock::http {
namespace {

constexpr double kCoresMax = 4'096;
constexpr double kGibibytesMax = 1'048'576;
constexpr IntegerRange kTimeoutSeconds = {1, 3 * 24 * 3'600};

std::unexpected<ApiError> refuse(std::string_view field, std::string problem,
                                 std::string hint = {}) {
  return std::unexpected(ApiError{.status = 422,
                                  .code = std::string(kInvalidArgumentCode),
                                  .message = std::move(problem),
                                  .hint = std::move(hint),
                                  .field = std::string(field)});
}

bool is_plain(std::string_view text) {
  return std::ranges::none_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

ApiStatus read_text(const JsonObject& request, std::string_view key, std::size_t bytes_max,
                    std::string& to) {
  AIRLOCK_ASSIGN(const auto text, request.text(key));
  if (!text) return {};
  if (text->size() > bytes_max) {
    return refuse(key, std::string(key) + " has " + std::to_string(text->size()) +
                           " bytes; at most " + std::to_string(bytes_max) + " are allowed");
  }
  if (!is_plain(*text)) return refuse(key, std::string(key) + " has control characters");
  to = *text;
  return {};
}

ApiStatus require(std::string_view key, const std::string& value) {
  if (value.empty()) return refuse(key, std::string(key) + ": Field required");
  return {};
}

ApiStatus read_environment(const JsonObject& request, model::JobSpec& spec) {
  AIRLOCK_ASSIGN(const auto object, request.object("custom_env_vars"));
  if (!object) return {};
  AIRLOCK_ASSIGN(const auto entries, object->texts());
  if (entries.size() > model::kJobEnvMax) {
    return refuse("custom_env_vars", "custom_env_vars has " + std::to_string(entries.size()) +
                                         " variables; at most " +
                                         std::to_string(model::kJobEnvMax) + " are allowed");
  }
  std::size_t bytes = 0;
  for (const auto& [name, value] : entries) {
    const bool named = !name.empty() && std::ranges::all_of(name, [](char c) {
      return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!named || (name.front() >= '0' && name.front() <= '9')) {
      return refuse("custom_env_vars", shown(name) + " is no name of a variable");
    }
    if (value.find('\0') != std::string_view::npos) {
      return refuse("custom_env_vars", std::string(name) + " has a NUL byte");
    }
    bytes += name.size() + value.size() + 2;
    spec.env.emplace(name, value);
  }
  if (bytes > model::kJobEnvBytesMax.count()) {
    return refuse("custom_env_vars", "custom_env_vars has more than " +
                                         base::format_byte_count(model::kJobEnvBytesMax));
  }
  return {};
}

ApiStatus read_weight_class(const JsonObject& request, model::JobSpec& spec) {
  AIRLOCK_ASSIGN(const auto text, request.text("weight_class"));
  AIRLOCK_TRY(require("weight_class", std::string(text.value_or(""))));
  auto parsed = model::parse_weight_class(*text);
  if (!parsed) return refuse("weight_class", parsed.error().message, parsed.error().hint);
  spec.weight_class = std::move(*parsed);
  return {};
}

// A quantity above 0 and at most `highest`, in the unit that the field's name says.
ApiResult<std::optional<double>> read_amount(const JsonObject& request, std::string_view key,
                                             double highest) {
  AIRLOCK_ASSIGN(const auto number, request.number(key));
  if (number && !(*number > 0 && *number <= highest)) {
    return refuse(key, std::string(key) + " must be above 0 and at most " +
                           std::to_string(static_cast<std::uint64_t>(highest)));
  }
  return number;
}

ApiStatus read_bytes(const JsonObject& request, std::string_view key,
                     std::optional<base::ByteCount>& to) {
  AIRLOCK_ASSIGN(const auto gibibytes, read_amount(request, key, kGibibytesMax));
  if (gibibytes) to = base::ByteCount(static_cast<std::uint64_t>(*gibibytes * (1u << 30)));
  return {};
}

ApiStatus read_timeout(const JsonObject& request, std::string_view key,
                       std::optional<std::chrono::milliseconds>& to) {
  AIRLOCK_ASSIGN(const auto seconds, request.integer(key, kTimeoutSeconds));
  if (seconds) to = std::chrono::seconds(*seconds);
  return {};
}

ApiStatus read_wishes(const JsonObject& request, model::JobSpec& spec) {
  AIRLOCK_ASSIGN(const auto cores, read_amount(request, "cpu_cores", kCoresMax));
  if (cores) spec.cpu_millis = static_cast<std::uint32_t>(std::ceil(*cores * 1'000));
  AIRLOCK_TRY(read_bytes(request, "memory_gb", spec.memory));
  AIRLOCK_TRY(read_bytes(request, "disk_quota_gb", spec.disk));
  AIRLOCK_TRY(read_timeout(request, "prep_timeout_seconds", spec.prep_timeout));
  AIRLOCK_TRY(read_timeout(request, "inference_timeout_seconds", spec.inference_timeout));
  AIRLOCK_ASSIGN(const auto level, request.text("min_isolation"));
  if (level) {
    spec.min_isolation = model::find_isolation_level(*level);
    if (!spec.min_isolation) {
      return refuse("min_isolation", shown(*level) + " is no level of isolation",
                    "it is process, container or kernel");
    }
  }
  return {};
}

// Of the newer runner: understood, and not to be had here.
ApiStatus refuse_sidecar(const JsonObject& request) {
  AIRLOCK_ASSIGN(const auto wanted, request.boolean("use_vllm"));
  if (wanted.value_or(false) || request.has("vllm_config")) {
    return refuse("use_vllm", "this runner starts no inference server beside a job",
                  "start it from the repository's own program");
  }
  return {};
}

ApiResult<model::JobSpec> read_spec(JsonObject& request) {
  AIRLOCK_TRY(request.only({"repo_url",
                            "repo_branch",
                            "repo_commit",
                            "repo_path",
                            "weight_class",
                            "input_data_s3_path",
                            "output_data_s3_path",
                            "priority",
                            "validator_hotkey",
                            "miner_hotkey",
                            "custom_env_vars",
                            "use_vllm",
                            "vllm_config",
                            "challenge",
                            "min_isolation",
                            "cpu_cores",
                            "memory_gb",
                            "disk_quota_gb",
                            "prep_timeout_seconds",
                            "inference_timeout_seconds"}));
  model::JobSpec spec;
  const std::size_t url = model::kJobUrlBytesMax;
  const std::size_t name = model::kJobNameBytesMax;
  AIRLOCK_TRY(read_text(request, "repo_url", url, spec.repo_url));
  AIRLOCK_TRY(require("repo_url", spec.repo_url));
  AIRLOCK_TRY(read_text(request, "repo_branch", name, spec.repo_branch));
  AIRLOCK_TRY(read_text(request, "repo_commit", name, spec.repo_commit));
  AIRLOCK_TRY(read_text(request, "repo_path", name, spec.repo_path));
  AIRLOCK_TRY(read_weight_class(request, spec));
  AIRLOCK_TRY(read_text(request, "input_data_s3_path", url, spec.input_uri));
  AIRLOCK_TRY(read_text(request, "output_data_s3_path", url, spec.output_uri));
  AIRLOCK_ASSIGN(const auto priority, request.integer("priority", {0, model::kPriorityMax}));
  spec.priority = static_cast<std::uint32_t>(priority.value_or(0));
  AIRLOCK_TRY(read_text(request, "validator_hotkey", name, spec.validator_hotkey));
  AIRLOCK_TRY(read_text(request, "miner_hotkey", name, spec.miner_hotkey));
  AIRLOCK_TRY(read_text(request, "challenge", name, spec.challenge));
  AIRLOCK_TRY(read_environment(request, spec));
  AIRLOCK_TRY(read_wishes(request, spec));
  AIRLOCK_TRY(refuse_sidecar(request));
  return spec;
}

}  // namespace

ApiResult<model::JobSpec> parse_job_request(std::string_view body) {
  AIRLOCK_TRY(check_body_size(body, kJobBodyBytesMax));
  auto parsed = parse_json(body);
  if (!parsed) {
    parsed.error().status = 422;
    return std::unexpected(std::move(parsed).error());
  }
  const boost::json::value value = std::move(*parsed);
  auto request = JsonObject::from(value, "");
  if (!request) return std::unexpected(std::move(request).error());
  auto spec = read_spec(*request);
  // What the reader of JSON refuses is 400 elsewhere; clients of this route know 422.
  if (!spec) spec.error().status = 422;
  return spec;
}

}  // namespace airlock::http
