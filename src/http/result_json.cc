#include "http/result_json.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <utility>
#include <vector>

#include "http/json_text.h"
#include "http/text_encoding.h"
#include "http/verdict_json.h"

namespace airlock::http {
namespace {

constexpr std::size_t kEscapedBytesFew = 4'096;  // coloured output is text

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
  boost::json::object object = outcome_json(result.outcome);
  add_streams(object, result);
  object["limits_hit"] = limits_hit_json(result.outcome);
  object["files"] = files_json(result.files);
  if (!result.refused_files.empty()) object["refused_files"] = refused_json(result.refused_files);
  if (result.compile != nullptr) object["compile"] = result_object(*result.compile);
  object["usage"] = usage_json(result.usage);
  object["isolation"] = isolation_json(result.isolation);
  object["denied"] = denied_json(result.denied);
  if (result.isolation.network != "none")
    object["egress"] = egress_json(result.egress, EgressPhases::kHidden);
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
