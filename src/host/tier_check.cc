#include "host/tier_check.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "model/isolation.h"

namespace airlock::host {
namespace {

constexpr std::string_view kGroup = "namespaces";
constexpr std::string_view kId = "tier";
// In the order in which results have them.
constexpr std::array kMissingNested = {
    model::kMissingCgroup,       model::kMissingChmod,          model::kMissingCoreScheduling,
    model::kMissingDenialReport, model::kMissingDiskQuota,      model::kMissingLandlock,
    model::kMissingMemoryPeak,   model::kMissingMountNamespace, model::kMissingPidsPeak,
    model::kMissingPrivateView,  model::kMissingProc,           model::kMissingSupplementaryGroups,
    model::kMissingUidRange};
constexpr std::array kMissingProcess = {
    model::kMissingCgroup,        model::kMissingDiskQuota,      model::kMissingIpcNamespace,
    model::kMissingMemoryPeak,    model::kMissingMountNamespace, model::kMissingNetworkNamespace,
    model::kMissingOwnRoot,       model::kMissingPidNamespace,   model::kMissingPidsPeak,
    model::kMissingPrivateView,   model::kMissingProc,           model::kMissingSockets,
    model::kMissingUserNamespace, model::kMissingUtsNamespace};

// Steps of a sandbox that a lower tier leaves out.
bool is_of_full_tier(const Finding& finding) {
  return finding.group == kGroup || (finding.group == "kernel" && finding.id != "seccomp");
}

template <typename Names>
std::vector<std::string> to_strings(const Names& names) {
  return {names.begin(), names.end()};
}

// The fix of what keeps the full tier away.
std::string better_fix(const Report& report) {
  for (const Finding& finding : report.findings) {
    if (finding.status == FindingStatus::kFail && finding.group == kGroup) return finding.fix;
  }
  return {};
}

void soften(Report& report) {
  for (Finding& finding : report.findings) {
    if (finding.status != FindingStatus::kFail || !is_of_full_tier(finding)) continue;
    finding.status = FindingStatus::kWarn;
    finding.meaning = "the full tier cannot be had: " + finding.meaning;
  }
}

Finding nested_finding() {
  Finding finding =
      ok_finding(kGroup, kId, std::string(model::kTierNestedGvisor),
                 "user, pid, network, ipc and uts namespaces and a root of its own, but no mounts");
  finding.missing = to_strings(kMissingNested);
  return finding;
}

Finding process_finding(const std::string& better) {
  Finding finding = warn_finding(
      kGroup, kId, "process: it is allowed, and nothing better can be had",
      "a program runs as a process of this container, behind a system call filter and Landlock; "
      "min_isolation \"container\" is refused",
      better);
  finding.missing = to_strings(kMissingProcess);
  return finding;
}

Finding refused_finding(const std::string& better) {
  return fail_finding(kGroup, kId, "the best tier here is process: no namespaces at all",
                      "runs are refused until that is allowed, or the container allows more",
                      "export AIRLOCK_ALLOW_TIER=process  # or: airlock run --allow-tier process, "
                      "airlock serve --allow-tier process\n" +
                          better);
}

}  // namespace

void apply_tier(Report& report, std::string_view lower, ProcessTier allowed) {
  if (report.runs_will_work()) {
    report.tier = model::kTierFull;
    report.findings.push_back(ok_finding(kGroup, kId, std::string(model::kTierFull)));
    return;
  }
  const bool full_only = std::ranges::all_of(report.findings, [](const Finding& finding) {
    return finding.status != FindingStatus::kFail || is_of_full_tier(finding);
  });
  if (!full_only) return;
  const std::string better = better_fix(report);
  if (lower == model::kTierNestedGvisor) {
    soften(report);
    report.findings.push_back(nested_finding());
  } else if (lower == model::kTierProcess && allowed == ProcessTier::kAllowed) {
    soften(report);
    report.findings.push_back(process_finding(better));
  } else if (lower == model::kTierProcess) {
    soften(report);
    report.findings.push_back(refused_finding(better));
    return;
  } else {
    return;
  }
  report.tier = lower;
}

}  // namespace airlock::host
