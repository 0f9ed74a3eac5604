#include "apps/airlock/job_text.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <cmath>
#include <cstdio>

#include "apps/airlock/print.h"
#include "apps/airlock/report_lines.h"
#include "base/units.h"
#include "client/json_fields.h"
#include "client/wire_time.h"

namespace airlock::apps {
namespace {

using boost::json::object;
using boost::json::value;
using client::array_of;
using client::count_of;
using client::object_of;
using std::chrono::microseconds;

constexpr std::size_t kOutputsAtEndMax = 10;
constexpr std::size_t kShortDigestChars = 16;
constexpr double kMillisecondsMax = 1e15;

void add_unless_empty(std::string& out, std::string_view label, std::string_view text) {
  if (!text.empty()) add_line(out, label, text);
}

std::optional<model::WallTime> time_of(const object& job, std::string_view key) {
  return client::parse_wire_time(client::text_of(job, key));
}

// Until now, which a service says in whole seconds; it may be a little before `from`.
std::string until_now(model::WallTime from, model::WallTime now) {
  const auto spent = std::chrono::floor<std::chrono::seconds>(now - from);
  const long long seconds = std::max<long long>(0, spent.count());
  if (seconds < 60) return std::to_string(seconds) + " s";
  const long long hours = seconds / 3'600;
  if (hours < 24) return base::format_duration(std::chrono::seconds(seconds));
  return std::to_string(hours / 24) + " d " + std::to_string(hours % 24) + " h";
}

std::string moment(const object& parent, std::string_view key) {
  std::string text = client::text_of(parent, key).substr(0, 19);
  std::ranges::replace(text, 'T', ' ');
  return text.empty() ? text : escaped(text) + " UTC";
}

bool is_state(const object& job, model::JobState state) {
  return client::text_of(job, "status") == model::job_state_name(state);
}

std::string repository_text(const object& job) {
  std::string text = escaped_text(job, "repo_url");
  if (const std::string commit = escaped_text(job, "repo_commit"); !commit.empty()) {
    text += " at " + commit.substr(0, kShortDigestChars);
  }
  const std::string branch = escaped_text(job, "repo_branch");
  return branch.empty() ? text : text + ", branch " + branch;
}

std::string class_text(const object& job) {
  std::string text = escaped_text(job, "weight_class");
  std::string gpus;
  for (const value& index : array_of(job, "assigned_gpus")) {
    if (index.is_int64()) gpus += (gpus.empty() ? "" : ",") + std::to_string(index.get_int64());
  }
  if (!gpus.empty()) text += ", GPU " + gpus;
  return text + ", priority " + std::to_string(count_of(job, "priority"));
}

std::string error_text(const object& job) {
  const std::string code = escaped_text(job, "error_code");
  const std::string message = escaped_text(job, "error_message");
  return code.empty() || message.empty() ? code + message : code + ": " + message;
}

std::string verdict_text(const object& phase) {
  const object& result = object_of(phase, "result");
  if (result.empty()) {
    return client::text_of(phase, "ended_at").empty() ? "runs" : "nobody saw its end";
  }
  std::string text = escaped_text(result, "outcome");
  const value* const code = result.if_contains("exit_code");
  if (code != nullptr && code->is_int64()) {
    text += ", exit code " + std::to_string(code->get_int64());
  }
  const std::string signal = escaped_text(result, "signal");
  if (!signal.empty()) text += ", " + signal;
  const object& usage = object_of(result, "usage");
  const double wall = client::number_of(usage, "wall_ms").value_or(-1);
  if (wall >= 0 && wall < kMillisecondsMax) {
    text += ", " + base::format_duration(microseconds(std::llround(wall * 1'000)));
  }
  if (count_of(usage, "memory_peak_bytes") > 0) {
    text += ", " + bytes_text(usage, "memory_peak_bytes") + " at most";
  }
  return text + ", network " + escaped_text(object_of(result, "isolation"), "network");
}

void add_phases(std::string& out, const object& job) {
  for_objects(out, array_of(job, "phases"), kReportLinesMax, [&](const object& phase) {
    std::string text = verdict_text(phase);
    const std::uint64_t attempt = count_of(phase, "attempt");
    if (attempt > 1) text += ", attempt " + std::to_string(attempt);
    if (client::is_true(phase, "log_truncated")) text += ", log cut off";
    add_line(out, escaped_text(phase, "name"), text);
    for_objects(
        out, array_of(object_of(phase, "result"), "denied"), kReportLinesMax,
        [&](const object& denial) {
          add_line(out, "",
                   "denied " + escaped_text(denial, "what") + ": " + escaped_text(denial, "rule"));
        });
  });
}

void add_seal(std::string& out, const object& job) {
  const object& seal = object_of(job, "seal");
  if (!client::is_true(seal, "sealed")) return;
  add_line(out, "seal", moment(seal, "sealed_at") + ", " + seal_text(seal));
}

void add_files(std::string& out, std::string_view label, const boost::json::array& files,
               std::size_t most) {
  bool first = true;
  for_objects(out, files, most, [&](const object& file) {
    add_line(out, first ? label : "",
             escaped_text(file, "path") + ", " + bytes_text(file, "size") + ", sha256 " +
                 escaped_text(file, "sha256").substr(0, kShortDigestChars));
    first = false;
  });
}

void add_next(std::string& out, const object& job, std::string_view server) {
  const std::string id = escaped_text(job, "job_id");
  const std::string at(server);
  if (!array_of(job, "outputs").empty()) {
    add_line(out, "to get them", "airlock outputs " + id + " -o DIR" + at);
  }
  if (client::is_true(job, "has_receipt")) {
    add_line(out, "receipt", "airlock outputs " + id + " --receipt FILE" + at);
  }
}

std::string part_text(const object& status, std::string_view free, std::string_view total) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.1f of %.1f free",
                client::number_of(status, free).value_or(0),
                client::number_of(status, total).value_or(0));
  return text.data();
}

}  // namespace

std::string job_phase(const object& job) {
  std::string status = client::text_of(job, "status");
  const auto state = model::find_job_state(status);
  if (state && (model::is_terminal(*state) || *state == model::JobState::kPending)) return status;
  const std::string phase = client::text_of(job, "current_phase");
  const double percent = client::number_of(job, "progress_percentage").value_or(0);
  return (phase.empty() ? status : phase) + ", " +
         std::to_string(static_cast<int>(std::clamp(percent, 0.0, 100.0))) + " %";
}

std::string job_duration(const object& job, model::WallTime now) {
  const auto started = time_of(job, "started_at");
  if (!started) return "-";
  const auto completed = time_of(job, "completed_at");
  if (!completed) return until_now(*started, now);
  return base::format_duration(std::max(microseconds(0), *completed - *started));
}

std::string job_age(const object& job, model::WallTime now) {
  const auto submitted = time_of(job, "submitted_at");
  return submitted ? until_now(*submitted, now) : "-";
}

std::string describe_job(const object& job, model::WallTime now, std::string_view server) {
  std::string out = escaped_text(job, "job_id") + ": " + escaped(job_phase(job)) + "\n";
  add_unless_empty(out, "error", error_text(job));
  add_line(out, "repository", repository_text(job));
  add_line(out, "class", class_text(job));
  add_line(out, "submitted", moment(job, "submitted_at") + ", " + job_age(job, now) + " ago");
  std::string time = job_duration(job, now);
  if (const std::uint64_t attempts = count_of(job, "attempts"); attempts > 1) {
    time += ", attempt " + std::to_string(attempts);
  }
  add_line(out, "time", time);
  add_unless_empty(out, "runner", escaped_text(job, "runner_id"));
  add_unless_empty(out, "validator", escaped_text(job, "validator_hotkey"));
  add_unless_empty(out, "miner", escaped_text(job, "miner_hotkey"));
  add_unless_empty(out, "challenge", escaped_text(job, "challenge"));
  if (client::is_true(job, "build_cached")) add_line(out, "build", "from the cache");
  add_phases(out, job);
  add_egress(out, array_of(job, "egress"));
  add_seal(out, job);
  add_files(out, "inputs", array_of(job, "inputs"), kReportLinesMax);
  add_files(out, "outputs", array_of(job, "outputs"), kReportLinesMax);
  add_next(out, job, server);
  return out;
}

std::string describe_runner(const object& status) {
  std::string out = "runner " + escaped_text(status, "runner_id") + ": " +
                    escaped_text(status, "status") + ", " + escaped_text(status, "execution_mode") +
                    "\n";
  std::string gpus = std::to_string(count_of(status, "available_gpus")) + " of " +
                     std::to_string(count_of(status, "total_gpus")) + " free";
  if (const std::string note = escaped_text(status, "gpu_note"); !note.empty()) gpus += ": " + note;
  add_line(out, "GPUs", gpus);
  add_line(out, "CPU cores", part_text(status, "cpu_cores_free", "cpu_cores_total"));
  add_line(out, "memory",
           bytes_text(status, "memory_bytes_free") + " of " +
               bytes_text(status, "memory_bytes_total") + " free");
  add_line(out, "disk",
           bytes_text(status, "disk_bytes_free") + " of " + bytes_text(status, "disk_bytes_total") +
               " free");
  add_line(out, "queue", counted(count_of(status, "queue_depth"), "job waits", "jobs wait"));
  std::string active;
  std::size_t shown = 0;
  for (const value& id : array_of(status, "active_job_ids")) {
    if (!id.is_string() || shown++ == kReportLinesMax) break;
    active += (active.empty() ? "" : " ") + escaped(id.get_string());
  }
  add_line(out, "active", active.empty() ? "none" : active);
  const object& jobs = object_of(status, "jobs");
  std::string ended;
  for (const model::JobState state : {model::JobState::kCompleted, model::JobState::kFailed,
                                      model::JobState::kTimeout, model::JobState::kCancelled}) {
    const std::string_view name = model::job_state_name(state);
    ended += (ended.empty() ? "" : ", ") + std::to_string(count_of(jobs, name)) + " ";
    ended += name;
  }
  add_line(out, "ended", ended);
  return out;
}

std::string describe_end(const object& job, model::WallTime now, std::string_view server) {
  std::string out = "airlock: " + escaped_text(job, "job_id") + " " + escaped_text(job, "status");
  if (const std::string time = job_duration(job, now); time != "-") out += " after " + time;
  out += "\n";
  add_unless_empty(out, "error", error_text(job));
  const boost::json::array& outputs = array_of(job, "outputs");
  if (outputs.empty() && is_state(job, model::JobState::kCompleted)) {
    add_line(out, "outputs", "none");
  }
  add_files(out, "outputs", outputs, kOutputsAtEndMax);
  add_next(out, job, server);
  if (!is_state(job, model::JobState::kCompleted)) {
    add_line(out, "log", "airlock logs " + escaped_text(job, "job_id") + std::string(server));
  }
  return out;
}

}  // namespace airlock::apps
