#include "queue/simulation/trace.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "base/ascii.h"

namespace airlock::queue {
namespace {

constexpr std::size_t kColumnsMax = 256;
constexpr std::size_t kShownBytesMax = 40;

std::unexpected<base::Error> refuse(std::size_t line, const std::string& message,
                                    std::string hint = {}) {
  return base::fail(base::ErrorCode::kInvalidArgument,
                    "line " + std::to_string(line) + ": " + message, std::move(hint));
}

std::string quoted(std::string_view text) {
  const bool is_long = text.size() > kShownBytesMax;
  return "\"" + std::string(text.substr(0, kShownBytesMax)) + (is_long ? "..." : "") + "\"";
}

// The cells of a line. A cell in double quotes may hold commas, and "" for a quote.
std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells(1);
  bool quotes = false;
  for (std::size_t i = 0; i < line.size() && cells.size() <= kColumnsMax; ++i) {
    if (line[i] == '"') {
      if (quotes && i + 1 < line.size() && line[i + 1] == '"') {
        cells.back() += line[++i];
      } else {
        quotes = !quotes;
      }
    } else if (line[i] == ',' && !quotes) {
      cells.emplace_back();
    } else {
      cells.back() += line[i];
    }
  }
  for (std::string& cell : cells) cell = std::string(base::trimmed(cell));
  return cells;
}

class TraceReader {
 public:
  explicit TraceReader(std::uint32_t gpus) : gpus_(gpus) {}

  base::Status read(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      const std::string_view line = base::trimmed(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      ++line_;
      if (line.empty()) continue;
      AIRLOCK_TRY(columns_.empty() ? read_header(line) : read_job(line));
    }
    if (columns_.empty()) {
      return base::fail(base::ErrorCode::kInvalidArgument, "the trace is empty",
                        "its first line names the columns: arrival_seconds,gpus,duration_seconds");
    }
    if (jobs_.empty()) {
      return base::fail(base::ErrorCode::kInvalidArgument, "the trace has no jobs",
                        "a line for each follows the line of column names");
    }
    return {};
  }

  std::vector<TraceJob> take() && {
    std::ranges::sort(jobs_, {},
                      [](const TraceJob& job) { return std::pair(job.arrival, job.line); });
    return std::move(jobs_);
  }

 private:
  base::Status read_header(std::string_view line) {
    cells_ = cells_of(line);
    if (cells_.size() > kColumnsMax) {
      return refuse(line_, "more than " + std::to_string(kColumnsMax) + " columns");
    }
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (!columns_.emplace(cells_[i], i).second) {
        return refuse(line_, "there are two columns " + quoted(cells_[i]));
      }
    }
    for (const char* const needed : {"arrival_seconds", "gpus", "duration_seconds"}) {
      if (columns_.contains(needed)) continue;
      return refuse(line_, "there is no column \"" + std::string(needed) + "\"",
                    "the first line names the columns: arrival_seconds,gpus,duration_seconds");
    }
    return {};
  }

  base::Status read_job(std::string_view line) {
    if (jobs_.size() == kTraceJobsMax) {
      return refuse(line_, "a trace has at most " + std::to_string(kTraceJobsMax) + " jobs");
    }
    cells_ = cells_of(line);
    if (cells_.size() != columns_.size()) {
      return refuse(line_, std::to_string(cells_.size()) + " cells, but there are " +
                               std::to_string(columns_.size()) + " columns");
    }
    TraceJob job;
    job.line = line_;
    AIRLOCK_ASSIGN(job.arrival, seconds("arrival_seconds", kTraceArrivalMax));
    AIRLOCK_ASSIGN(job.duration, seconds("duration_seconds", kTraceDurationMax));
    AIRLOCK_ASSIGN(job.ask.gpus, count("gpus", kSimulatedGpusMax));
    if (job.ask.gpus > gpus_) {
      return refuse(line_,
                    "the job asks for " + std::to_string(job.ask.gpus) + " GPUs, the host has " +
                        std::to_string(gpus_),
                    "--gpus says how many the host has");
    }
    if (columns_.contains("priority")) {
      AIRLOCK_ASSIGN(job.priority, count("priority", model::kPriorityMax));
    }
    if (columns_.contains("tenant")) job.tenant = cell("tenant");
    if (columns_.contains("bound_seconds") && !cell("bound_seconds").empty()) {
      AIRLOCK_ASSIGN(job.own_bound, seconds("bound_seconds", kBoundMax));
      if (*job.own_bound < job.duration) {
        return refuse(line_, "bound_seconds is less than duration_seconds",
                      "a job is ended at its bound: it cannot have run for longer");
      }
    }
    job.bound = job.own_bound.value_or(job.duration);
    jobs_.push_back(std::move(job));
    return {};
  }

  const std::string& cell(const std::string& column) const {
    return cells_[columns_.find(column)->second];
  }

  base::Result<Duration> seconds(const std::string& column, Duration max) const {
    const std::string& text = cell(column);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const double most = std::chrono::duration<double>(max).count();
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
      return refuse(line_, column + ": " + quoted(text) + " is no number of seconds");
    }
    if (value < 0) return refuse(line_, column + ": " + quoted(text) + " is negative");
    if (value > most) {
      return refuse(line_, column + ": " + quoted(text) + " is more than " +
                               std::to_string(std::llround(most)));
    }
    return Duration(std::llround(value * 1e6));
  }

  base::Result<std::uint32_t> count(const std::string& column, std::uint32_t max) const {
    const std::string& text = cell(column);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > max) {
      return refuse(line_, column + ": " + quoted(text) + " is no whole number from 0 to " +
                               std::to_string(max));
    }
    return value;
  }

  std::uint32_t gpus_;
  std::size_t line_ = 0;
  std::map<std::string, std::size_t> columns_;
  std::vector<std::string> cells_;
  std::vector<TraceJob> jobs_;
};

}  // namespace

base::Result<std::vector<TraceJob>> parse_trace(std::string_view text, std::uint32_t gpus) {
  if (text.size() > kTraceBytesMax) {
    return base::fail(
        base::ErrorCode::kLimitExceeded,
        "the trace has more than " + base::format_byte_count(base::ByteCount(kTraceBytesMax)));
  }
  TraceReader reader(gpus);
  AIRLOCK_TRY(reader.read(text));
  return std::move(reader).take();
}

std::optional<BoundKind> find_bound_kind(std::string_view name) {
  if (name == "exact") return BoundKind::kExact;
  if (name == "x2") return BoundKind::kDouble;
  if (name == "timeout") return BoundKind::kTimeout;
  return std::nullopt;
}

void set_bounds(std::vector<TraceJob>& jobs, BoundKind kind) {
  Duration longest{0};
  for (const TraceJob& job : jobs) longest = std::max(longest, job.duration);
  for (TraceJob& job : jobs) {
    switch (kind) {
      case BoundKind::kExact: job.bound = job.duration; break;
      case BoundKind::kDouble: job.bound = 2 * job.duration; break;
      case BoundKind::kTimeout: job.bound = longest; break;
    }
    if (job.own_bound) job.bound = *job.own_bound;
  }
}

}  // namespace airlock::queue
