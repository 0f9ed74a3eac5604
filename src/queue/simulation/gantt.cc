#include "queue/simulation/gantt.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <vector>

namespace airlock::queue {
namespace {

constexpr double kLeft = 70;
constexpr double kTop = 70;
constexpr double kWidth = 1'200;
constexpr double kLanesHeight = 384;
constexpr double kLaneHeightMin = 2;
constexpr double kLaneHeightMax = 48;
constexpr double kWaitingHeight = 130;
constexpr double kGap = 46;
constexpr double kBarWidthMin = 0.3;
constexpr std::size_t kTitledJobsMax = 2'000;  // with a tooltip each

struct Colour {
  std::uint32_t gpus_max;
  const char* code;
};
constexpr std::array<Colour, 6> kColours = {{{0, "#9a9a9a"},
                                             {1, "#4e79a7"},
                                             {2, "#59a14f"},
                                             {4, "#f2a01f"},
                                             {8, "#c8385a"},
                                             {kSimulatedGpusMax, "#7b5ea7"}}};

const char* colour_of(std::uint32_t gpus) {
  const auto found =
      std::ranges::find_if(kColours, [&](const Colour& colour) { return gpus <= colour.gpus_max; });
  return found == kColours.end() ? kColours.back().code : found->code;
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string number(double value) {
  std::array<char, 48> text{};
  const int length = std::snprintf(text.data(), text.size(), "%.2f", value);
  return {text.data(), static_cast<std::size_t>(std::max(length, 0))};
}

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      default: safe += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
  }
  return safe;
}

struct Step {
  double seconds;
  double unit;
  const char* name;
};
constexpr std::array<Step, 18> kSteps = {{{1, 1, "s"},
                                          {5, 1, "s"},
                                          {15, 1, "s"},
                                          {60, 60, "min"},
                                          {300, 60, "min"},
                                          {900, 60, "min"},
                                          {1'800, 60, "min"},
                                          {3'600, 3'600, "h"},
                                          {7'200, 3'600, "h"},
                                          {21'600, 3'600, "h"},
                                          {43'200, 3'600, "h"},
                                          {86'400, 86'400, "d"},
                                          {172'800, 86'400, "d"},
                                          {432'000, 86'400, "d"},
                                          {864'000, 86'400, "d"},
                                          {2'592'000, 86'400, "d"},
                                          {8'640'000, 86'400, "d"},
                                          {31'536'000, 86'400, "d"}}};

class Chart {
 public:
  Chart(std::span<const TraceJob> jobs, std::span<const ScheduledJob> schedule, std::uint32_t gpus)
      : jobs_(jobs), schedule_(schedule), gpus_(gpus) {
    begin_ = jobs.empty() ? 0 : seconds(jobs.front().arrival);
    double end = begin_;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      end = std::max(end, seconds(schedule[i].start + jobs[i].duration));
    }
    span_ = std::max(end - begin_, 1.0);
    lane_ = std::clamp(kLanesHeight / std::max(gpus, 1U), kLaneHeightMin, kLaneHeightMax);
    lanes_bottom_ = kTop + lane_ * std::max(gpus, 1U);
    waiting_top_ = lanes_bottom_ + kGap;
    waiting_bottom_ = waiting_top_ + kWaitingHeight;
  }

  std::string svg(std::string_view title) && {
    const std::string width = number(kLeft + kWidth + 30);
    const std::string height = number(waiting_bottom_ + 40);
    text_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + width + "\" height=\"" + height +
            "\" viewBox=\"0 0 " + width + " " + height +
            "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
            rect(0, 0, kLeft + kWidth + 30, waiting_bottom_ + 40, "#ffffff") +
            label(kLeft, 26, "start", "16", escaped(title));
    add_legend();
    text_ += rect(kLeft, kTop, kWidth, lanes_bottom_ - kTop, "#eeeeee");
    text_ += rect(kLeft, waiting_top_, kWidth, kWaitingHeight, "#f6f6f6");
    add_lanes();
    add_bars();
    add_waiting();
    add_times();
    return std::move(text_) + "</svg>\n";
  }

 private:
  double x_of(double time) const { return kLeft + (time - begin_) / span_ * kWidth; }

  static std::string rect(double x, double y, double width, double height, const char* fill,
                          std::string_view inside = {}) {
    std::string text = "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" +
                       number(width) + "\" height=\"" + number(height) + "\" fill=\"" + fill + "\"";
    return text + (inside.empty() ? "/>\n" : ">" + std::string(inside) + "</rect>\n");
  }

  static std::string label(double x, double y, const char* anchor, const char* size,
                           const std::string& words) {
    return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor +
           "\" font-size=\"" + size + "\" fill=\"#333333\">" + words + "</text>\n";
  }

  void add_legend() {
    std::map<std::uint32_t, std::size_t> classes;
    for (const TraceJob& job : jobs_) ++classes[job.ask.gpus];
    double x = kLeft;
    for (const auto& [gpus, count] : classes) {
      const std::string words = std::to_string(gpus) + (gpus == 1 ? " GPU: " : " GPUs: ") +
                                std::to_string(count) + (count == 1 ? " job" : " jobs");
      text_ += rect(x, 42, 14, 14, colour_of(gpus)) + label(x + 20, 54, "start", "12", words);
      x += 40 + 7.0 * static_cast<double>(words.size());
    }
  }

  void add_lanes() {
    const std::uint32_t each = static_cast<std::uint32_t>(std::ceil(14 / lane_));
    for (std::uint32_t gpu = 0; gpu < gpus_; gpu += each) {
      text_ += label(kLeft - 8, kTop + lane_ * (gpu + 0.5) + 4, "end", "12",
                     "GPU " + std::to_string(gpu));
    }
  }

  void add_bars() {
    const bool is_titled = jobs_.size() <= kTitledJobsMax;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      const ScheduledJob& placed = schedule_[i];
      const double x = x_of(seconds(placed.start));
      const double width = std::max(seconds(jobs_[i].duration) / span_ * kWidth, kBarWidthMin);
      const std::string title = is_titled ? bar_title(i) : std::string();
      for (std::size_t first = 0; first < placed.gpus.size();) {
        std::size_t end = first + 1;
        while (end < placed.gpus.size() && placed.gpus[end] == placed.gpus[end - 1] + 1) ++end;
        const double inset = lane_ > 8 ? 1 : 0;
        text_ += rect(x, kTop + lane_ * placed.gpus[first] + inset, width,
                      lane_ * static_cast<double>(end - first) - 2 * inset,
                      colour_of(jobs_[i].ask.gpus), title);
        first = end;
      }
    }
  }

  std::string bar_title(std::size_t i) const {
    return "<title>job " + std::to_string(i + 1) + ": " + std::to_string(jobs_[i].ask.gpus) +
           " GPUs for " + number(seconds(jobs_[i].duration)) + " s, waited " +
           number(seconds(schedule_[i].start - jobs_[i].arrival)) + " s</title>";
  }

  // Mean GPUs asked for by waiting jobs in each column of time.
  std::vector<double> waiting_gpus(std::uint32_t gpus) const {
    std::vector<double> partial(kGanttColumns + 1, 0);
    std::vector<double> change(kGanttColumns + 2, 0);
    const double scale = static_cast<double>(kGanttColumns) / span_;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      if (jobs_[i].ask.gpus != gpus) continue;
      const double from = (seconds(jobs_[i].arrival) - begin_) * scale;
      const double to = (seconds(schedule_[i].start) - begin_) * scale;
      const auto first = static_cast<std::size_t>(from);
      const auto last = static_cast<std::size_t>(to);
      // Whole columns from `first` to before `last`, less what is before, and what is after.
      change[first] += gpus;
      change[last] -= gpus;
      partial[first] -= gpus * (from - static_cast<double>(first));
      partial[last] += gpus * (to - static_cast<double>(last));
    }
    double level = 0;
    for (std::size_t column = 0; column < partial.size(); ++column) {
      level += change[column];
      partial[column] = std::max(partial[column] + level, 0.0);
    }
    return partial;
  }

  void add_waiting() {
    std::map<std::uint32_t, std::vector<double>> classes;
    for (const TraceJob& job : jobs_) classes.try_emplace(job.ask.gpus);
    std::vector<double> sum(kGanttColumns + 1, 0);
    for (auto& [gpus, levels] : classes) {
      levels = waiting_gpus(gpus);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += levels[i];
    }
    const double most = std::max(std::ranges::max(sum), 1.0);
    std::vector<double> below(kGanttColumns + 1, 0);
    for (const auto& [gpus, levels] : classes) {
      if (gpus == 0) continue;
      text_ += area(below, levels, most, colour_of(gpus));
      for (std::size_t i = 0; i < below.size(); ++i) below[i] += levels[i];
    }
    text_ += label(kLeft, waiting_top_ - 8, "start", "12",
                   "Waiting: GPUs asked for by jobs that have not started");
    text_ += label(kLeft - 8, waiting_top_ + 10, "end", "12", std::to_string(std::lround(most)));
    text_ += label(kLeft - 8, waiting_bottom_, "end", "12", "0");
  }

  std::string area(const std::vector<double>& below, const std::vector<double>& levels, double most,
                   const char* fill) const {
    const auto point = [&](std::size_t column, double level) {
      return number(kLeft + kWidth * static_cast<double>(column) / kGanttColumns) + "," +
             number(waiting_bottom_ - level / most * kWaitingHeight) + " ";
    };
    std::string points;
    for (std::size_t i = 0; i < kGanttColumns; ++i) {
      points += point(i, below[i] + levels[i]) + point(i + 1, below[i] + levels[i]);
    }
    for (std::size_t i = kGanttColumns; i-- > 0;)
      points += point(i + 1, below[i]) + point(i, below[i]);
    return "<polygon points=\"" + points + "\" fill=\"" + fill + "\"/>\n";
  }

  void add_times() {
    const auto fitting =
        std::ranges::find_if(kSteps, [&](const Step& step) { return span_ / step.seconds <= 14; });
    const Step& step = fitting == kSteps.end() ? kSteps.back() : *fitting;
    for (double time = 0; time <= span_; time += step.seconds) {
      const double x = x_of(begin_ + time);
      const std::string line = "<line x1=\"" + number(x) + "\" x2=\"" + number(x) + "\" y1=\"";
      text_ += line + number(kTop) + "\" y2=\"" + number(lanes_bottom_ + 5) +
               "\" stroke=\"#00000033\"/>\n" + line + number(waiting_top_) + "\" y2=\"" +
               number(waiting_bottom_ + 5) + "\" stroke=\"#00000033\"/>\n";
      const std::string words = std::to_string(std::llround(time / step.unit)) + " " + step.name;
      text_ += label(x, lanes_bottom_ + 18, "middle", "12", words) +
               label(x, waiting_bottom_ + 18, "middle", "12", words);
    }
  }

  std::span<const TraceJob> jobs_;
  std::span<const ScheduledJob> schedule_;
  std::uint32_t gpus_;
  double begin_ = 0;
  double span_ = 1;
  double lane_ = 1;
  double lanes_bottom_ = 0;
  double waiting_top_ = 0;
  double waiting_bottom_ = 0;
  std::string text_;
};

}  // namespace

std::string gantt_svg(std::span<const TraceJob> jobs, std::span<const ScheduledJob> schedule,
                      std::uint32_t gpus, std::string_view title) {
  return Chart(jobs, schedule, gpus).svg(title);
}

}  // namespace airlock::queue
