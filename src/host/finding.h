// Finding: one fact about the host that matters to runs, with the exact fix where it is a problem.
//
// A pure value, the same for the text and the JSON of `airlock doctor`. `id` and `group` are stable
// names that scripts may rely on; `seen`, `meaning` and `fix` are for a person and may change.
// Nothing in a Finding is escaped: whoever prints `seen` to a terminal has to, since it may hold
// names that other users of the host chose.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace airlock::host {

enum class FindingStatus {
  kOk,
  kWarn,  // runs work, but something is missing or weaker; the meaning says what
  kFail,  // runs cannot work until this is fixed; before apply_tier: not at the full tier
};
// "ok", "warn", "fail"
std::string_view finding_status_name(FindingStatus status);

struct Finding {
  std::string group;  // "kernel", "namespaces", ...: see kGroups
  std::string id;     // "user_namespaces"; unique in a report
  FindingStatus status = FindingStatus::kOk;
  std::string seen;                  // what is so on this host, one line
  std::string meaning;               // what that means for runs; empty for most that are ok
  std::string fix;                   // commands to copy, one per line; empty when ok
  std::vector<std::string> missing;  // what results will list in isolation.missing because of it
};

// In the order in which groups are shown.
inline constexpr std::string_view kGroups[] = {"kernel",  "namespaces", "cgroup",   "files",
                                               "memory",  "host",       "backends", "gpu",
                                               "install", "languages",  "ports"};

Finding ok_finding(std::string_view group, std::string_view id, std::string seen,
                   std::string meaning = {});
Finding warn_finding(std::string_view group, std::string_view id, std::string seen,
                     std::string meaning, std::string fix);
Finding fail_finding(std::string_view group, std::string_view id, std::string seen,
                     std::string meaning, std::string fix);

struct Report {
  std::string user;    // "root", "alice (uid 1000)"
  std::string kernel;  // "6.1.0-18-amd64 x86_64"
  std::string tier;    // that runs get (tier_check.h); empty: none, or not asked yet
  std::vector<Finding> findings;

  // No finding failed.
  bool runs_will_work() const;
  std::size_t count(FindingStatus status) const;
  // Everything that results will list in isolation.missing: sorted, each name once.
  std::vector<std::string> missing() const;
};

}  // namespace airlock::host
