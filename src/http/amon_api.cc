#include "http/amon_api.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "base/ascii.h"
#include "http/json_reader.h"
#include "http/run_limits.h"
#include "http/text_encoding.h"
#include "model/limits.h"
#include "runner/input_path.h"

namespace airlock::http {
namespace {

// The name by which the program was put there: a shell's `pwd` is that of the contract.
constexpr const char* kAmonPwd = "PWD=/work";
constexpr std::string_view kBlanks = " \t\n\v\f\r\x1c\x1d\x1e\x1f";
// CPU time is bounded by the rate; this only stops what a host without a rate lets through.
constexpr int kCpuTimePerWallTime = 2;

// What is no request at all, or has members of a wrong type.
template <typename T>
ApiResult<T> as_unprocessable(ApiResult<T> result) {
  if (!result.has_value() && result.error().status == 400) result.error().status = 422;
  return result;
}

ApiResult<std::string> read_text(const JsonObject& request, std::string_view key) {
  AIRLOCK_ASSIGN(const auto text, as_unprocessable(request.text(key)));
  return std::string(text.value_or(""));
}

int timeout_seconds_max(const AmonLimits& limits) {
  if (!limits.maxima.wall_time) return kAmonTimeoutSecondsMax;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(*limits.maxima.wall_time).count();
  return static_cast<int>(
      std::clamp<std::int64_t>(seconds, kAmonTimeoutSecondsMin, kAmonTimeoutSecondsMax));
}

ApiResult<int> read_timeout(const JsonObject& request, const AmonLimits& limits) {
  AIRLOCK_ASSIGN(const auto seconds, as_unprocessable(request.integer("timeout_s", kAnyInteger)));
  const int highest = timeout_seconds_max(limits);
  if (!seconds) return std::min(kAmonTimeoutSecondsDefault, highest);
  if (*seconds < kAmonTimeoutSecondsMin || *seconds > highest) {
    return refuse_request("timeout_s 必須介於 1~" + std::to_string(highest));
  }
  return static_cast<int>(*seconds);
}

ApiResult<std::string> read_language(const JsonObject& request) {
  AIRLOCK_ASSIGN(const std::string text, read_text(request, "language"));
  std::string language = base::ascii_lower(base::trimmed(text, kBlanks));
  if (language != "python" && language != "bash") {
    return refuse_request("目前僅支援 language=python|bash");
  }
  return language;
}

bool has_drive(std::string_view path) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return path.size() >= 2 && is_letter(path[0]) && path[1] == ':';
}

ApiStatus add_input(AmonRun& amon, const JsonObject& file, runner::InputPaths& paths,
                    const AmonLimits& limits) {
  AIRLOCK_ASSIGN(const std::string given, read_text(file, "path"));
  AIRLOCK_ASSIGN(const std::string content, read_text(file, "content_b64"));
  AIRLOCK_ASSIGN(const std::string path, normalise_amon_path(given));
  if (!paths.add(path)) return refuse_request("path 重複: " + path);
  const std::optional<std::string> bytes = decode_base64(content);
  if (!bytes) return refuse_request("input file 非法 base64: " + path);
  if (bytes->size() > limits.file_bytes_max)
    return refuse_request("input file 超過單檔上限: " + path);
  amon.input_bytes += bytes->size();
  if (amon.input_bytes > limits.input_bytes_max)
    return refuse_request("input_files 總大小超過上限");
  AIRLOCK_ASSIGN(base::UniqueFd fd, at_field("", make_content("input", *bytes)));
  amon.run.request.files.push_back(
      {.path = std::string(kAmonInputPrefix) + path, .content = std::move(fd)});
  return {};
}

ApiStatus read_inputs(AmonRun& amon, const JsonObject& request, const AmonLimits& limits) {
  AIRLOCK_ASSIGN(const auto files, as_unprocessable(request.array("input_files")));
  if (!files) return {};
  if (files->size() > limits.files_max) return refuse_request("input_files 數量超過上限");
  amon.input_files = files->size();
  runner::InputPaths paths;
  for (std::size_t i = 0; i < files->size(); ++i) {
    AIRLOCK_ASSIGN(const JsonObject file, as_unprocessable(files->object(i)));
    AIRLOCK_TRY(add_input(amon, file, paths, limits));
  }
  return {};
}

model::LimitsGiven limits_of(const AmonRun& amon, const AmonLimits& limits) {
  model::LimitsGiven given;
  given.wall_time = std::chrono::seconds(amon.timeout_s);
  given.cpu_time = std::chrono::seconds(amon.timeout_s) * kCpuTimePerWallTime;
  given.memory = limits.memory;
  given.pids = limits.pids;
  given.cpu_rate_percent = limits.cpu_rate_percent;
  given.disk = limits.disk;
  return capped_by(limits.maxima, given.over({}), given);
}

ApiStatus set_up(AmonRun& amon, std::string_view code, const RunCatalog& catalog,
                 const AmonLimits& limits) {
  AIRLOCK_ASSIGN(
      language::RunPlan plan,
      at_field("", catalog.plan(amon.language,
                                {.file_name = {}, .args = {}, .limits = limits_of(amon, limits)})));
  AIRLOCK_TRY(at_field("", set_program(amon.run, plan, code)));
  AIRLOCK_TRY(at_field("", set_environment(amon.run, {plan.env, {kAmonPwd}})));
  amon.run.request.spec.cwd = kAmonWorkingDirectory;
  amon.run.request.spec.collect_output_directory = true;
  return {};
}

}  // namespace

ApiResult<std::string> normalise_amon_path(std::string_view path) {
  path = base::trimmed(path, kBlanks);
  if (path.empty()) return refuse_request("path 不可為空");
  if (path.find('\0') != std::string_view::npos) return refuse_request("path 不可包含 NUL");
  std::string slashed(path);
  std::ranges::replace(slashed, '\\', '/');
  if (slashed.front() == '/' || has_drive(slashed)) return refuse_request("不允許絕對路徑");
  std::string normal;
  for (std::string_view rest = slashed; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part == "..") return refuse_request("path 包含不合法 segment");
    if (part.empty() || part == ".") continue;
    if (!normal.empty()) normal += '/';
    normal += part;
  }
  if (!runner::check_input_path(normal)) return refuse_request("path 包含不合法 segment");
  return normal;
}

ApiResult<AmonRun> parse_amon_run(std::string_view body, const RunCatalog& catalog,
                                  const AmonLimits& limits) {
  AIRLOCK_TRY(check_body_size(body, limits.body_bytes_max));
  AIRLOCK_ASSIGN(const boost::json::value value, as_unprocessable(parse_json(body)));
  AIRLOCK_ASSIGN(const JsonObject request, as_unprocessable(JsonObject::from(value, "")));
  AmonRun amon;
  AIRLOCK_ASSIGN(amon.request_id, read_text(request, "request_id"));
  if (amon.request_id.size() > limits.request_id_bytes_max)
    return refuse_request("request_id 長度超過上限");
  AIRLOCK_ASSIGN(const std::string code, read_text(request, "code"));
  AIRLOCK_ASSIGN(amon.language, read_language(request));
  AIRLOCK_ASSIGN(amon.timeout_s, read_timeout(request, limits));
  amon.code_bytes = code.size();
  if (code.size() > limits.code_bytes_max) return refuse_request("code 大小超過上限");
  AIRLOCK_TRY(read_inputs(amon, request, limits));
  AIRLOCK_TRY(set_up(amon, code, catalog, limits));
  return amon;
}

std::string amon_error_json(const ApiError& error) {
  return boost::json::serialize(boost::json::object{{"detail", printable_utf8(error.message)}});
}

}  // namespace airlock::http
