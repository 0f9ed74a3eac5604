#include "apps/airlock/job_display.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "apps/airlock/client_options.h"
#include "apps/airlock/job_text.h"
#include "apps/airlock/print.h"
#include "apps/airlock/table.h"
#include "apps/airlock/terminal_filter.h"
#include "client/json_fields.h"
#include "client/wire_time.h"
#include "model/job.h"

namespace airlock::apps {
namespace {

using boost::json::object;
using client::text_of;

constexpr std::size_t kBarCells = 20;
constexpr std::size_t kColumnsUnknown = 80;

// "0:05", "1:02:05"
std::string clock_text(std::chrono::seconds duration) {
  const long long all = std::max<long long>(0, duration.count());
  std::array<char, 48> text{};
  if (all >= 3'600) {
    std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld", all / 3'600, all % 3'600 / 60,
                  all % 60);
  } else {
    std::snprintf(text.data(), text.size(), "%lld:%02lld", all / 60, all % 60);
  }
  return text.data();
}

std::string notice_text(const LogEntry& entry) {
  const std::size_t end = entry.bytes.find_last_not_of("\r\n");
  return entry.phase + ": " + entry.bytes.substr(0, end == std::string::npos ? 0 : end + 1);
}

// What git prints of the commit that it has checked out is for the runner. To a person it is said
// in words, and where stdout of a job goes it is not mixed with what the job's programs wrote.
std::optional<std::string> commit_text(const LogEntry& entry) {
  constexpr std::size_t kSha1Digits = 40;
  constexpr std::size_t kSha256Digits = 64;
  if (entry.phase != "clone" || entry.stream != LogStream::kStdout) return std::nullopt;
  const std::string_view line =
      std::string_view(entry.bytes).substr(0, entry.bytes.find_last_not_of('\n') + 1);
  const bool is_commit = (line.size() == kSha1Digits || line.size() == kSha256Digits) &&
                         line.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!is_commit) return std::nullopt;
  return "clone: the commit is " + std::string(line);
}

bool has_ended(const object& job) {
  const auto state = model::find_job_state(text_of(job, "status"));
  return state && model::is_terminal(*state);
}

std::string bar(double percent) {
  const auto full = static_cast<std::size_t>(percent / 100 * static_cast<double>(kBarCells));
  return "[" + std::string(full, '#') + std::string(kBarCells - full, '-') + "]";
}

// Of what runs now: since when, and for how long it may.
std::string time_text(const object& job, model::WallTime now) {
  auto since = client::parse_wire_time(text_of(job, "submitted_at"));
  std::optional<double> limit;
  for (const auto& item : client::array_of(job, "phases")) {
    const object* const phase = item.if_object();
    if (phase == nullptr || !text_of(*phase, "ended_at").empty()) continue;
    const auto started = client::parse_wire_time(text_of(*phase, "started_at"));
    if (!started) continue;
    since = started;
    limit = client::number_of(job, text_of(*phase, "name") + "_timeout_seconds");
  }
  if (!since) return {};
  const auto spent = std::chrono::floor<std::chrono::seconds>(now - *since);
  std::string text = clock_text(spent);
  constexpr double kLimitMax = 1e9;
  if (limit && *limit > 0 && *limit < kLimitMax) {
    text +=
        ", " + clock_text(std::chrono::seconds(static_cast<long long>(*limit)) - spent) + " left";
  }
  return text;
}

class PlainDisplay final : public JobDisplay {
 public:
  explicit PlainDisplay(LogMarks marks) : marks_(marks) {}

  void show_job(const object& job, model::WallTime) override {
    const std::string now = job_phase(job);
    if (now == shown_ || has_ended(job)) return;  // of the end there is more to say: describe_end()
    shown_ = now;
    note(text_of(job, "job_id") + ": " + now);
  }

  void show_log(const LogEntry& entry, std::string_view) override {
    if (marks_ == LogMarks::kPhases && entry.phase != phase_) note("phase " + entry.phase);
    phase_ = entry.phase;
    if (entry.stream == LogStream::kNotice) return note(notice_text(entry));
    if (const auto commit = commit_text(entry)) return note(*commit);
    const bool to_stderr = entry.stream == LogStream::kStderr;
    const int fd = to_stderr ? STDERR_FILENO : STDOUT_FILENO;
    if (::isatty(fd) == 0) return write(fd, entry.bytes);
    std::string text;
    filters_[to_stderr ? 1 : 0].filter(entry.bytes, text);
    write(fd, text);
  }

  void note(std::string_view text) override { print_line(text); }

  void close() override {
    for (std::size_t i = 0; i < filters_.size(); ++i) {
      const int fd = i == 0 ? STDOUT_FILENO : STDERR_FILENO;
      if (::isatty(fd) != 0) write(fd, filters_[i].restoring_sequence());
    }
  }

 private:
  LogMarks marks_;
  std::string shown_;
  std::string phase_;
  std::array<TerminalFilter, 2> filters_ = {TerminalFilter(TerminalUse::kLines),
                                            TerminalFilter(TerminalUse::kLines)};
};

// Everything goes to stderr, which is the terminal, but for the program's stdout where that goes
// elsewhere.
class TerminalDisplay final : public JobDisplay {
 public:
  void show_job(const object& job, model::WallTime now) override {
    const std::size_t columns = terminal_columns(STDERR_FILENO);
    line_ = status_line(job, now, (columns == 0 ? kColumnsUnknown : columns) - 1);
    draw();
  }

  void show_log(const LogEntry& entry, std::string_view) override {
    if (entry.phase != phase_) flush();
    phase_ = entry.phase;
    if (entry.stream == LogStream::kNotice) return note(notice_text(entry));
    if (const auto commit = commit_text(entry)) return note(*commit);
    const bool to_stderr = entry.stream == LogStream::kStderr;
    if (!to_stderr && ::isatty(STDOUT_FILENO) == 0) return write(STDOUT_FILENO, entry.bytes);
    lines_[to_stderr ? 1 : 0].add(entry.bytes, taker(to_stderr ? '!' : '|'));
    draw();
  }

  void note(std::string_view text) override {
    print_above("airlock: " + escaped(text));
    draw();
  }

  void close() override {
    flush();
    line_.clear();
    draw();
  }

 private:
  LogLines::Take taker(char mark) {
    return [this, mark](std::string_view line) {
      print_above(escaped(phase_) + " " + mark + " " + terminal_line(line));
    };
  }

  void flush() {
    lines_[0].finish(taker('|'));
    lines_[1].finish(taker('!'));
  }

  void print_above(std::string_view line) {
    write(STDERR_FILENO, "\r\x1b[K" + std::string(line) + "\n");
  }
  void draw() { write(STDERR_FILENO, "\r\x1b[K" + line_); }

  std::string line_;
  std::string phase_;
  std::array<LogLines, 2> lines_;
};

class JsonDisplay final : public JobDisplay {
 public:
  void show_job(const object& job, model::WallTime) override {
    std::string now = job_phase(job);
    if (now == shown_) return;
    shown_ = std::move(now);
    print("state",
          {{"job_id", text_of(job, "job_id")},
           {"status", text_of(job, "status")},
           {"current_phase", text_of(job, "current_phase")},
           {"progress_percentage", client::number_of(job, "progress_percentage").value_or(0)}});
  }
  void show_log(const LogEntry&, std::string_view json) override {
    write(STDOUT_FILENO, "{\"event\":\"log\",\"data\":" + without_newline(json_line(json)) + "}\n");
  }
  void note(std::string_view text) override { print("note", {{"message", escaped(text)}}); }
  void close() override {}

 private:
  static std::string without_newline(std::string text) {
    text.pop_back();
    return text;
  }
  void print(std::string_view event, const object& data) {
    write(STDOUT_FILENO,
          json_line(boost::json::serialize(object{{"event", event}, {"data", data}})));
  }

  std::string shown_;
};

}  // namespace

void JobDisplay::write(int fd, std::string_view text) {
  while (!text.empty() && !broken_) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      broken_ = true;
      return;
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string status_line(const object& job, model::WallTime now, std::size_t columns_max) {
  std::string phase = text_of(job, "current_phase");
  if (phase.empty()) phase = text_of(job, "status");
  const double percent =
      std::clamp(client::number_of(job, "progress_percentage").value_or(0), 0.0, 100.0);
  std::string gpus;
  for (const auto& index : client::array_of(job, "assigned_gpus")) {
    if (!index.is_int64()) continue;
    gpus += (gpus.empty() ? "  GPU " : ",") + std::to_string(index.get_int64());
  }
  const std::string head = escaped(text_of(job, "job_id")) + "  " + escaped(phase) + "  ";
  const std::string tail =
      std::to_string(static_cast<int>(percent)) + " %" + gpus + "  " + time_text(job, now);
  std::string line = head + bar(percent) + " " + tail;
  if (count_characters(line) > columns_max) line = head + tail;
  return shortened(line, columns_max);
}

std::unique_ptr<JobDisplay> make_plain_display(LogMarks marks) {
  return std::make_unique<PlainDisplay>(marks);
}
std::unique_ptr<JobDisplay> make_terminal_display() { return std::make_unique<TerminalDisplay>(); }
std::unique_ptr<JobDisplay> make_json_display() { return std::make_unique<JsonDisplay>(); }

}  // namespace airlock::apps
