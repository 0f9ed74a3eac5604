#include "http/amon_result.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "http/shell_status.h"
#include "http/text_encoding.h"

namespace airlock::http {
namespace {

constexpr std::string_view kTimeoutNote = "\n[timeout] code execution exceeded limit\n";
constexpr std::string_view kSymlinkReason = "symbolic link";  // what collecting says of one

ApiStatus check_outputs(const model::RunResult& result, const AmonLimits& limits) {
  for (const model::RefusedOutput& refused : result.refused_files) {
    if (refused.reason == kSymlinkReason) return refuse_request("不允許 symlink output");
  }
  if (result.files.size() > limits.files_max) return refuse_request("output files 數量超過上限");
  std::size_t total = 0;
  for (const model::OutputFile& file : result.files) {
    if (file.content.size() > limits.file_bytes_max)
      return refuse_request("output file 超過單檔上限");
    total += file.content.size();
  }
  if (total > limits.output_bytes_max) return refuse_request("output files 總大小超過上限");
  return {};
}

boost::json::array files_json(const model::RunResult& result) {
  std::vector<const model::OutputFile*> sorted;
  for (const model::OutputFile& file : result.files) sorted.push_back(&file);
  std::ranges::sort(sorted, {}, &model::OutputFile::path);
  boost::json::array files;
  for (const model::OutputFile* file : sorted) {
    files.push_back({{"path", utf8_with_replacement(file->path)},
                     {"content_b64", base64(file->content)},
                     {"size", file->content.size()}});
  }
  return files;
}

std::string stderr_text(const model::RunResult& result) {
  std::string text = result.stderr_bytes;
  if (is_timeout(result.outcome)) text += kTimeoutNote;
  for (const model::RefusedOutput& refused : result.refused_files) {
    text += "\n[output] not given back: " + refused.path + ": " + refused.reason + "\n";
  }
  return utf8_with_replacement(text);
}

}  // namespace

AmonAnswer amon_answer(const ApiError& error) { return {error.status, amon_error_json(error)}; }

AmonAnswer amon_answer(const AmonIds& ids, const model::RunResult& result,
                       const AmonLimits& limits) {
  const model::OutcomeKind kind = result.outcome.kind;
  if (kind == model::OutcomeKind::kSetupFailed || kind == model::OutcomeKind::kCancelled) {
    return amon_answer(ApiError{.status = 500,
                                .code = "internal",
                                .message = "runner internal error",
                                .hint = result.outcome.detail,
                                .field = {}});
  }
  const ApiStatus outputs = check_outputs(result, limits);
  const auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(result.usage.wall);
  boost::json::object object;
  // What the program said is not lost with its files.
  if (!outputs) object["detail"] = outputs.error().message;
  object["id"] = printable_utf8(ids.job_id);
  object["job_id"] = printable_utf8(ids.job_id);
  object["request_id"] = printable_utf8(ids.request_id);
  object["exit_code"] = shell_status(result.outcome);
  object["stdout"] = utf8_with_replacement(result.stdout_bytes);
  object["stderr"] = stderr_text(result);
  object["duration_ms"] = duration.count();
  object["timed_out"] = is_timeout(result.outcome);
  object["output_files"] = outputs ? files_json(result) : boost::json::array();
  return {outputs ? 200 : outputs.error().status, boost::json::serialize(object)};
}

std::string amon_start_event_json(const AmonStartEvent& event) {
  return boost::json::serialize(
      boost::json::object{{"code_bytes", event.code_bytes},
                          {"event", "sandbox.run.start"},
                          {"job_id", printable_utf8(event.ids.job_id)},
                          {"request_id", printable_utf8(event.ids.request_id)},
                          {"timeout_s", event.timeout_s}});
}

std::string amon_finish_event_json(const AmonFinishEvent& event) {
  return boost::json::serialize(
      boost::json::object{{"duration_ms", event.duration_ms},
                          {"event", "sandbox.run.finish"},
                          {"exit_code", event.exit_code},
                          {"input_bytes", event.input_bytes},
                          {"input_files", event.input_files},
                          {"job_id", printable_utf8(event.ids.job_id)},
                          {"output_bytes", event.output_bytes},
                          {"output_files", event.output_files},
                          {"request_id", printable_utf8(event.ids.request_id)},
                          {"status", event.ok ? "ok" : "error"},
                          {"timed_out", event.timed_out}});
}

}  // namespace airlock::http
