#include "host/report_text.h"

#include <algorithm>
#include <string_view>

#include "host/proc_files.h"

namespace airlock::host {

namespace {

constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kReset = "\x1b[0m";
constexpr std::size_t kLabelColumns = 6;   // "FAIL  "
constexpr std::size_t kGroupColumns = 12;  // the longest of kGroups and two spaces

std::string printable(std::string_view text) {
  std::string clean(text);
  std::ranges::replace_if(
      clean, [](char letter) { return static_cast<unsigned char>(letter) < ' ' || letter == 0x7f; },
      '?');
  return clean;
}

std::string padded(std::string_view text, std::size_t columns) {
  std::string result(text);
  if (result.size() < columns) result.append(columns - result.size(), ' ');
  return result;
}

std::string tier_text(const std::string& tier) {
  return tier == "full" ? "the full tier" : "tier " + tier;
}

class TextWriter {
 public:
  explicit TextWriter(const TextOptions& options)
      : colored_(options.color == TextColor::kAnsi),
        columns_(std::max(options.columns, kColumnsMin)) {}

  void add_verdict(const Report& report) {
    const std::string host =
        "(" + printable(report.user) + ", Linux " + printable(report.kernel) + ")";
    const std::size_t failures = report.count(FindingStatus::kFail);
    if (failures == 0) {
      text_ += paint(kBold, "Runs will work on this host, at " + tier_text(report.tier) + ".") +
               " " + host + "\n";
    } else {
      text_ +=
          paint(kBold, "Runs will NOT work on this host until " +
                           (failures == 1 ? std::string("this is") : "these are") + " fixed.") +
          " " + host + "\n";
    }
  }

  // A problem: everything there is to say, each part on its own lines.
  void add_problem(const Finding& finding) {
    const bool failed = finding.status == FindingStatus::kFail;
    text_ += "\n" +
             paint(failed ? kRed : kYellow, padded(failed ? "FAIL" : "WARN", kLabelColumns)) +
             paint(kBold, finding.group + ": " + finding.id) + "\n";
    add_part("seen", finding.seen);
    add_part("means", finding.meaning);
    std::string_view label = "fix";
    for (const std::string_view line : lines_of(finding.fix)) {
      add_line(label, printable(line));
      label = "";
    }
    std::string missing;
    for (const std::string& name : finding.missing) missing += (missing.empty() ? "" : ", ") + name;
    if (!missing.empty()) add_part("lists", "results name it in isolation.missing: " + missing);
  }

  void add_ok(const Finding& finding, std::size_t id_columns) {
    const std::string_view group =
        finding.group == last_group_ ? "" : std::string_view(finding.group);
    last_group_ = finding.group;
    text_ += paint(kGreen, padded("ok", kLabelColumns)) + padded(group, kGroupColumns) +
             padded(finding.id, id_columns) + printable(finding.seen);
    if (!finding.meaning.empty()) text_ += " (" + printable(finding.meaning) + ")";
    text_ += "\n";
  }

  void add_text(std::string_view text) { text_ += text; }
  std::string take() { return std::move(text_); }

 private:
  std::string paint(std::string_view color, std::string_view text) const {
    if (!colored_) return std::string(text);
    return std::string(color) + std::string(text) + std::string(kReset);
  }

  void add_line(std::string_view label, std::string_view line) {
    text_ += std::string(kLabelColumns, ' ') + padded(label, kLabelColumns + 1) +
             std::string(line) + "\n";
  }

  void add_part(std::string_view label, std::string_view words) {
    const std::size_t room = columns_ - 2 * kLabelColumns - 1;
    const std::string clean = printable(words);
    std::string line;
    for (const std::string_view word : fields_of(clean)) {
      if (!line.empty() && line.size() + 1 + word.size() > room) {
        add_line(label, line);
        label = "";
        line.clear();
      }
      line += (line.empty() ? "" : " ") + std::string(word);
    }
    if (!line.empty()) add_line(label, line);
  }

  bool colored_;
  std::size_t columns_;
  std::string last_group_;
  std::string text_;
};

}  // namespace

std::string report_text(const Report& report, const TextOptions& options) {
  TextWriter writer(options);
  writer.add_verdict(report);
  for (const FindingStatus status : {FindingStatus::kFail, FindingStatus::kWarn}) {
    for (const Finding& finding : report.findings) {
      if (finding.status == status) writer.add_problem(finding);
    }
  }
  writer.add_text("\n");
  std::size_t id_columns = 0;
  for (const Finding& finding : report.findings)
    id_columns = std::max(id_columns, finding.id.size());
  for (const std::string_view group : kGroups) {
    for (const Finding& finding : report.findings) {
      const bool shown = finding.status == FindingStatus::kOk && finding.group == group;
      if (shown) writer.add_ok(finding, id_columns + 2);
    }
  }
  return writer.take();
}

}  // namespace airlock::host
