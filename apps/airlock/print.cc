#include "apps/airlock/print.h"

#include <unistd.h>

#include <algorithm>
#include <span>

#include "apps/airlock/egress_words.h"
#include "base/units.h"
#include "base/utf8.h"

namespace airlock::apps {
namespace {

inline constexpr std::size_t kRefusedShownMax = 20;
inline constexpr std::size_t kDenialsShownMax = 5;
inline constexpr std::size_t kUnreachedShownMax = 10;
inline constexpr std::string_view kEgressRule = "egress: ";

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;  // C1
}

void write_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count <= 0) return;  // nobody can be told that nobody can be told
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

bool contains(const std::vector<model::LimitKind>& limits, model::LimitKind kind) {
  return std::ranges::find(limits, kind) != limits.end();
}

std::string_view flag_for(const model::Outcome& outcome) {
  switch (outcome.kind) {
    case model::OutcomeKind::kWallTimeout: return "--timeout";
    case model::OutcomeKind::kCpuTimeout: return "--cpu-time";
    case model::OutcomeKind::kOutOfMemory: return "--memory";
    case model::OutcomeKind::kOutputLimit: return "--output-limit";
    case model::OutcomeKind::kProcessLimit: return "--pids";
    case model::OutcomeKind::kDiskLimit:
      return contains(outcome.limits_hit, model::LimitKind::kDisk) ? "--disk" : "--inodes";
    default: return {};
  }
}

// "out_of_memory: ... limit of 64 MiB (raise it with --memory)". The name comes once.
std::string describe_outcome(const model::Outcome& outcome) {
  std::string text(model::outcome_name(outcome.kind));
  const std::string_view detail = outcome.detail;
  if (detail.starts_with(text + ": ")) {
    text = detail;
  } else if (!detail.empty() && detail != text) {
    text += ": " + outcome.detail;
  }
  const std::string_view flag = flag_for(outcome);
  if (!flag.empty()) text += " (raise it with " + std::string(flag) + ")";
  return text;
}

// Those of the network have a line for each destination.
std::string describe_denials(const std::vector<model::Denial>& denials) {
  std::string text;
  std::size_t shown = 0;
  for (const model::Denial& denial : denials) {
    if (denial.rule.starts_with(kEgressRule) || shown++ >= kDenialsShownMax) continue;
    text += "  " + escaped(denial.what + ": " + denial.rule) + "\n";
    if (!denial.fix.empty()) text += "    fix: " + escaped(denial.fix) + "\n";
  }
  return text;
}

std::string fix_of(const model::EgressEntry& entry, const std::vector<model::Denial>& denials) {
  const std::string what = "connect " + egress_destination(entry);
  const std::string rule = std::string(kEgressRule) + entry.reason;
  const auto found = std::ranges::find_if(denials, [&](const model::Denial& denial) {
    return denial.what == what && denial.rule == rule;
  });
  return found == denials.end() || found->fix.empty() ? "" : " (" + found->fix + ")";
}

// A program may say nothing of a destination that it did not reach, or something else.
void print_unreached(const model::RunResult& result) {
  std::size_t unreached = 0;
  for (const model::EgressEntry& entry : result.egress) {
    const std::string_view verdict = egress_verdict(entry);
    if (verdict == kReached || unreached++ >= kUnreachedShownMax) continue;
    print_line(std::string(verdict) + ": " + describe_egress(entry) + fix_of(entry, result.denied));
  }
  if (unreached > kUnreachedShownMax) {
    print_line(std::to_string(unreached - kUnreachedShownMax) +
               " more destinations were not reached: --json names them all");
  }
}

std::string describe_exit(const model::Outcome& outcome) {
  std::string text(model::outcome_name(outcome.kind));
  if (outcome.exit_code) text += ", exit code " + std::to_string(*outcome.exit_code);
  if (outcome.signal) text += ", " + model::signal_name(*outcome.signal);
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string describe_isolation(const model::Isolation& isolation) {
  std::string text = isolation.backend + " sandbox, tier " + isolation.tier + ", cgroup " +
                     std::string(model::cgroup_version_name(isolation.cgroup)) + ", seccomp " +
                     isolation.seccomp + ", network " + isolation.network;
  if (isolation.rootless) text += ", rootless";
  if (!isolation.fallback_from.empty()) {
    text += ", in the place of " + isolation.fallback_from + " (" + isolation.fallback_reason + ")";
  }
  return text;
}

std::string describe_memory(const model::Usage& usage, const model::Limits& limits) {
  const std::string limit = base::format_byte_count(limits.memory);
  if (!usage.memory_peak) return "not observed (limit " + limit + ")";
  return base::format_byte_count(*usage.memory_peak) + " at most, of " + limit;
}

std::string describe_processes(const model::Usage& usage, const model::Limits& limits) {
  const std::string limit = std::to_string(limits.pids);
  if (!usage.pids_peak) return "not observed (limit " + limit + ")";
  return std::to_string(*usage.pids_peak) + " at once, of " + limit;
}

std::string describe_time(const model::Usage& usage) {
  return base::format_duration(usage.wall) + " (" + base::format_duration(usage.user) + " user, " +
         base::format_duration(usage.system) + " system)";
}

}  // namespace

std::string escaped(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = base::utf8_character_length(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(1, length));
    if (length != 0 && !is_control(character)) {
      out += character;
    } else {
      for (const char byte : character) {
        const auto code = static_cast<unsigned char>(byte);
        out.append({'\\', 'x', kDigits[code >> 4], kDigits[code & 0xf]});
      }
    }
    text.remove_prefix(character.size());
  }
  return out;
}

void print_line(std::string_view message) {
  write_to_stderr("airlock: " + escaped(message) + "\n");
}

void print_error(const base::Error& error) {
  print_line(error.to_string());
  if (!error.hint.empty()) write_to_stderr("  " + escaped(error.hint) + "\n");
}

void print_error(std::string_view context, const base::Error& error) {
  base::Error wrapped = error;
  wrapped.message = std::string(context) + ": " + error.message;
  print_error(wrapped);
}

void print_outcome(const model::RunResult& result) {
  const model::Outcome& outcome = result.outcome;
  if (outcome.kind != model::OutcomeKind::kExited || !outcome.detail.empty()) {
    print_line(describe_outcome(outcome));
    write_to_stderr(describe_denials(result.denied));
  }
  print_unreached(result);
  const auto& refused = result.refused_files;
  for (const model::RefusedOutput& output :
       std::span(refused).first(std::min(refused.size(), kRefusedShownMax))) {
    print_line("output refused: " + output.path + ": " + output.reason);
  }
  if (refused.size() > kRefusedShownMax) {
    print_line("output refused: " + std::to_string(refused.size() - kRefusedShownMax) + " more");
  }
}

void print_summary(const model::RunResult& result, const model::Limits& limits) {
  const auto line = [](std::string_view name, const std::string& value) {
    std::string text = "  ";
    text += name;
    text.resize(14, ' ');
    return text + escaped(value) + "\n";
  };
  std::string text = line("outcome", describe_exit(result.outcome));
  if (result.compile) text += line("compile", describe_time(result.compile->usage));
  text += line("time", describe_time(result.usage));
  text += line("memory", describe_memory(result.usage, limits));
  text += line("processes", describe_processes(result.usage, limits));
  text += line("isolation", describe_isolation(result.isolation));
  if (!result.isolation.missing.empty()) {
    text += line("missing", joined(result.isolation.missing));
  }
  write_to_stderr("airlock:\n" + text);
}

}  // namespace airlock::apps
