#include "http/result_json.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "http/json_text.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

constexpr std::size_t kEscapedBytesFew = 4'096;  // coloured output is text

boost::json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return boost::json::value(text);
}

double milliseconds(std::chrono::microseconds duration) {
  return static_cast<double>(duration.count()) / 1000.0;
}

template <typename T, typename Number>
boost::json::value number_or_null(const std::optional<T>& value, Number number) {
  if (!value) return nullptr;
  return boost::json::value(number(*value));
}

boost::json::object usage_json(const model::Usage& usage) {
  return {{"wall_ms", milliseconds(usage.wall)},
          {"user_ms", milliseconds(usage.user)},
          {"system_ms", milliseconds(usage.system)},
          {"memory_peak_bytes",
           number_or_null(usage.memory_peak, [](base::ByteCount bytes) { return bytes.count(); })},
          {"pids_peak", number_or_null(usage.pids_peak, [](std::uint32_t pids) { return pids; })}};
}

boost::json::object isolation_json(const model::Isolation& isolation) {
  boost::json::array missing;
  for (const std::string& name : isolation.missing) missing.emplace_back(name);
  return {
      {"backend", isolation.backend},   {"level", model::isolation_level_name(isolation.level)},
      {"tier", isolation.tier},         {"cgroup", model::cgroup_version_name(isolation.cgroup)},
      {"network", isolation.network},   {"seccomp", isolation.seccomp},
      {"rootless", isolation.rootless}, {"missing", std::move(missing)}};
}

boost::json::array denied_json(const std::vector<model::Denial>& denials) {
  boost::json::array array;
  for (const model::Denial& denial : denials) {
    array.push_back({{"what", printable_utf8(denial.what)},
                     {"rule", printable_utf8(denial.rule)},
                     {"fix", printable_utf8(denial.fix)}});
  }
  return array;
}

boost::json::array egress_json(const std::vector<model::EgressEntry>& entries) {
  boost::json::array array;
  for (const model::EgressEntry& entry : entries) {
    array.push_back({{"host", entry.host},
                     {"port", entry.port},
                     {"allowed", entry.allowed},
                     {"reason", text_or_null(printable_utf8(entry.reason))},
                     {"connections", entry.connections},
                     {"bytes_in", entry.bytes_in},
                     {"bytes_out", entry.bytes_out}});
  }
  return array;
}

boost::json::array files_json(const std::vector<model::OutputFile>& files) {
  boost::json::array array;
  for (const model::OutputFile& file : files) {
    const bool is_text = is_utf8(file.content);
    array.push_back({{"path", file.path},
                     {"size", file.content.size()},
                     {"content", is_text ? file.content : base64(file.content)},
                     {"encoding", is_text ? "utf8" : "base64"}});
  }
  return array;
}

boost::json::array refused_json(const std::vector<model::RefusedOutput>& refused) {
  boost::json::array array;
  for (const model::RefusedOutput& output : refused) {
    array.push_back(
        {{"path", printable_utf8(output.path)}, {"reason", printable_utf8(output.reason)}});
  }
  return array;
}

// Control characters take six bytes each in JSON: a stream of them is better off as base64.
bool is_worth_being_text(std::string_view bytes) {
  const auto is_escaped = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r';
  };
  const auto escaped = static_cast<std::size_t>(std::ranges::count_if(bytes, is_escaped));
  return escaped <= kEscapedBytesFew + bytes.size() / 16 && is_utf8(bytes);
}

void add_streams(boost::json::object& object, const model::RunResult& result) {
  const std::string_view out = result.stdout_truncated
                                   ? without_partial_character(result.stdout_bytes)
                                   : std::string_view(result.stdout_bytes);
  const std::string_view err = result.stderr_truncated
                                   ? without_partial_character(result.stderr_bytes)
                                   : std::string_view(result.stderr_bytes);
  if (is_worth_being_text(out) && is_worth_being_text(err)) {
    object["stdout"] = out;
    object["stderr"] = err;
    object["encoding"] = "utf8";
  } else {
    object["stdout"] = base64(result.stdout_bytes);
    object["stderr"] = base64(result.stderr_bytes);
    object["encoding"] = "base64";
  }
  object["stdout_truncated"] = result.stdout_truncated;
  object["stderr_truncated"] = result.stderr_truncated;
}

boost::json::object result_object(const model::RunResult& result) {
  const model::Outcome& outcome = result.outcome;
  boost::json::object object;
  object["outcome"] = model::outcome_name(outcome.kind);
  object["exit_code"] = number_or_null(outcome.exit_code, [](int code) { return code; });
  object["signal"] = outcome.signal ? boost::json::value(model::signal_name(*outcome.signal))
                                    : boost::json::value(nullptr);
  object["detail"] = text_or_null(printable_utf8(outcome.detail));
  add_streams(object, result);
  boost::json::array limits;
  for (const model::LimitKind kind : outcome.limits_hit)
    limits.emplace_back(model::limit_name(kind));
  object["limits_hit"] = std::move(limits);
  object["files"] = files_json(result.files);
  if (!result.refused_files.empty()) object["refused_files"] = refused_json(result.refused_files);
  if (result.compile != nullptr) object["compile"] = result_object(*result.compile);
  object["usage"] = usage_json(result.usage);
  object["isolation"] = isolation_json(result.isolation);
  object["denied"] = denied_json(result.denied);
  if (result.isolation.network != "none") object["egress"] = egress_json(result.egress);
  return object;
}

}  // namespace

std::string result_json(const model::RunResult& result) { return json_text(result_object(result)); }

std::size_t captured_bytes(const model::RunResult& result) {
  std::size_t bytes = result.stdout_bytes.size() + result.stderr_bytes.size();
  for (const model::OutputFile& file : result.files) bytes += file.content.size();
  return result.compile == nullptr ? bytes : bytes + captured_bytes(*result.compile);
}

}  // namespace airlock::http
