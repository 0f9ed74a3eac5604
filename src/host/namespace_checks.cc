// Namespaces: whether a sandbox can be made at all, and under whose user ids its program runs.
//
// The trial makes everything that the launcher makes. When it fails, the files of /proc and /sys
// only serve to tell why: each known reason has a fix of its own, most certain first.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "host/checks.h"
#include "host/proc_files.h"
#include "host/surroundings.h"
#include "model/isolation.h"

namespace airlock::host {

namespace {

constexpr std::string_view kGroup = "namespaces";
constexpr std::string_view kNoSandbox = "no sandbox can be made";
constexpr std::string_view kNamespaceLimit = "15000";
constexpr std::uint64_t kIdsPerSandbox = 2;     // init and the guest, when the ids are subordinate
constexpr std::uint64_t kRangeFirst = 100'000;  // where useradd begins to give out ranges
constexpr std::uint64_t kRangeCount = 65'536;   // and how large each of them is

std::string failure_text(const Attempt& attempt) {
  return attempt.step + ": " + std::strerror(attempt.os_errno);
}

// AppArmor 4 lets a named profile allow what an unconfined program may not.
std::string apparmor_fix(HostProbe& probe, const Question& question) {
  const std::string sudo = sudo_prefix(probe);
  return "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile airlock \"" +
         question.programs +
         "/{airlock,airlock-jail}\" flags=(unconfined) {\\n  userns,\\n}\\n' | " + sudo +
         "tee /etc/apparmor.d/airlock\n" + sudo + "apparmor_parser -r /etc/apparmor.d/airlock";
}

// "user", "net": the first word of the step that hit its limit.
std::string limit_name(const Attempt& attempt) {
  const std::string kind = attempt.step.substr(0, attempt.step.find(' '));
  return "user.max_" + (kind == "mount" ? std::string("mnt") : kind) + "_namespaces";
}

Finding diagnose_ordinary(HostProbe& probe, const Question& question, const Attempt& attempt) {
  const std::string seen = failure_text(attempt);
  if (read_sysctl(probe, "kernel.unprivileged_userns_clone") == "0") {
    return fail_finding(kGroup, "user_namespaces", seen + " (kernel.unprivileged_userns_clone=0)",
                        "this host allows user namespaces to root only, and without root a "
                        "sandbox needs one",
                        sysctl_fix(probe, "kernel.unprivileged_userns_clone", "1"));
  }
  if (apparmor_restricts_user_namespaces(probe)) {
    return fail_finding(
        kGroup, "user_namespaces",
        seen + " (kernel.apparmor_restrict_unprivileged_userns=1, the default of Ubuntu 23.10 up)",
        "AppArmor takes every right away in the user namespaces of programs that have no profile; "
        "give Airlock's programs one",
        apparmor_fix(probe, question));
  }
  if (attempt.os_errno == EPERM || attempt.os_errno == EACCES) {
    const std::string cause = selinux_is_enforcing(probe) ? " (SELinux is enforcing)" : "";
    return fail_finding(kGroup, "user_namespaces", seen + cause,
                        "something on this host refuses user namespaces to ordinary users, such as "
                        "a seccomp filter around this shell or a security module",
                        "run it as root: sudo " + question.programs + "/airlock doctor");
  }
  return fail_finding(kGroup, "user_namespaces", seen, std::string(kNoSandbox),
                      "run it as root: sudo " + question.programs + "/airlock doctor");
}

Finding diagnose(HostProbe& probe, const Question& question, const Attempt& attempt) {
  const std::string seen = failure_text(attempt);
  if (attempt.os_errno == ENOSPC) {
    const std::string limit = limit_name(attempt);
    return fail_finding(kGroup, "user_namespaces",
                        seen + " (" + limit + "=" + read_sysctl(probe, limit) + ")",
                        "the host's limit on namespaces is reached, or set to 0 to forbid them",
                        sysctl_fix(probe, limit, kNamespaceLimit));
  }
  if (attempt.os_errno == EINVAL || attempt.os_errno == ENOSYS) {
    return fail_finding(kGroup, "user_namespaces", seen,
                        "this kernel was built without a kind of namespace that a sandbox needs",
                        "boot a kernel of your distribution (CONFIG_USER_NS, CONFIG_PID_NS, "
                        "CONFIG_NET_NS, CONFIG_UTS_NS, CONFIG_IPC_NS and CONFIG_CGROUPS set to y)");
  }
  const ContainerKind container = find_container(probe);
  if (container != ContainerKind::kHost) {
    const std::string masked = proc_is_masked(probe) ? "; parts of /proc are masked" : "";
    return fail_finding(
        kGroup, "user_namespaces",
        seen + " (inside " + std::string(container_kind_name(container)) + masked + ")",
        "the container does not let sandboxes be made inside it", container_fix(container));
  }
  if (proc_is_masked(probe) && attempt.step == "mount proc") {
    return fail_finding(kGroup, "user_namespaces", seen + " (parts of /proc are mounted over)",
                        "the kernel gives a sandbox a /proc of its own only where nothing hides "
                        "parts of the host's",
                        "unmount what `grep ' /proc/' /proc/self/mountinfo` lists");
  }
  if (!probe.identity().is_root()) return diagnose_ordinary(probe, question, attempt);
  return fail_finding(kGroup, "user_namespaces", seen,
                      std::string(kNoSandbox) +
                          ": root itself is confined here, by a seccomp "
                          "filter, dropped capabilities or a security module",
                      "run it from an unconfined root shell; `grep -E 'Seccomp|CapEff' "
                      "/proc/self/status` shows this one's confinement");
}

Finding check_trial(HostProbe& probe, const Question& question) {
  const Attempt attempt = probe.attempt(Trial::kNamespaces);
  if (!attempt.worked()) return diagnose(probe, question, attempt);
  return ok_finding(kGroup, "user_namespaces",
                    "user, mount, pid, net, ipc, uts, cgroup; /proc, tmpfs and a new root in them");
}

// The limits count all namespaces below this one, of sandboxes that are alive at the same time.
Finding check_limits(HostProbe& probe) {
  constexpr std::uint64_t kComfortable = 128;
  constexpr std::string_view kKinds[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
  std::uint64_t smallest = UINT64_MAX;
  std::string smallest_name;
  for (const std::string_view kind : kKinds) {
    const std::string name = "user.max_" + std::string(kind) + "_namespaces";
    const auto value = parse_number(read_sysctl(probe, name));
    if (!value || *value >= smallest) continue;
    smallest = *value;
    smallest_name = name;
  }
  if (smallest_name.empty()) return ok_finding(kGroup, "namespace_limits", "none set");
  const std::string seen = smallest_name + "=" + std::to_string(smallest);
  if (smallest >= kComfortable) return ok_finding(kGroup, "namespace_limits", seen);
  return warn_finding(kGroup, "namespace_limits", seen,
                      "at most so many sandboxes can be alive at once",
                      sysctl_fix(probe, smallest_name, kNamespaceLimit));
}

// "231072-296607": the first range behind all that were given out, below the launcher's pool.
std::string free_range(HostProbe& probe, const Question& question) {
  std::uint64_t first = kRangeFirst;
  for (const char* file : {"/etc/subuid", "/etc/subgid"}) {
    for (const IdRange& range : parse_id_ranges(probe.read(file).value_or(""))) {
      const std::uint64_t end = range.first + range.count;
      if (range.first < question.uid_pool_first) first = std::max(first, end);
    }
  }
  return std::to_string(first) + "-" + std::to_string(first + kRangeCount - 1);
}

Finding check_root_pool(HostProbe& probe, const Question& question) {
  const std::string pool = std::to_string(question.uid_pool_first) + "-" +
                           std::to_string(question.uid_pool_first + question.uid_pool_count - 1);
  for (const char* file : {"/etc/subuid", "/etc/subgid"}) {
    for (const IdRange& range : parse_id_ranges(probe.read(file).value_or(""))) {
      if (!range.overlaps(question.uid_pool_first, question.uid_pool_count)) continue;
      return warn_finding(kGroup, "uid_range",
                          std::string(file) + " gives ids " + std::to_string(range.first) + "-" +
                              std::to_string(range.first + range.count - 1) + " to " + range.owner +
                              ", inside the pool " + pool,
                          "a container of " + range.owner +
                              " and a sandbox could own the same user ids and "
                              "signal each other or open each other's files",
                          "give " + range.owner + " another range: usermod --del-subuids " +
                              std::to_string(range.first) + "-" +
                              std::to_string(range.first + range.count - 1) + " --add-subuids " +
                              free_range(probe, question) + " " + range.owner +
                              " (and the same with subgids)");
    }
  }
  return ok_finding(kGroup, "uid_range", "own ids for every sandbox, from " + pool);
}

const IdRange* find_range(const std::vector<IdRange>& ranges, const Identity& identity) {
  for (const IdRange& range : ranges) {
    const bool ours = range.owner == identity.name || range.owner == std::to_string(identity.uid);
    if (ours && range.count >= kIdsPerSandbox) return &range;
  }
  return nullptr;
}

Finding check_subordinate_ids(HostProbe& probe, const Question& question) {
  const Identity identity = probe.identity();
  const std::string user = identity.name.empty() ? std::to_string(identity.uid) : identity.name;
  std::string absent;
  std::string fix;
  if (!probe.may_execute("/usr/bin/newuidmap") || !probe.may_execute("/usr/bin/newgidmap")) {
    absent = "newuidmap and newgidmap are not installed";
    fix = "sudo apt-get install -y uidmap\n";
  }
  const std::vector<IdRange> uids = parse_id_ranges(probe.read("/etc/subuid").value_or(""));
  const std::vector<IdRange> gids = parse_id_ranges(probe.read("/etc/subgid").value_or(""));
  const IdRange* uid_range = find_range(uids, identity);
  if (uid_range == nullptr || find_range(gids, identity) == nullptr) {
    absent += std::string(absent.empty() ? "" : "; ") + "no range for " + user +
              " in /etc/subuid and /etc/subgid";
    const std::string range = free_range(probe, question);
    fix += "sudo usermod --add-subuids " + range + " --add-subgids " + range + " " + user;
  }
  if (absent.empty()) {
    return ok_finding(kGroup, "uid_range",
                      "subordinate ids from " + std::to_string(uid_range->first));
  }
  Finding finding = warn_finding(
      kGroup, "uid_range", absent,
      "programs run under your own uid, though in namespaces of their own; with a range of ids a "
      "guest that got out would not be you",
      fix);
  finding.missing = {std::string(model::kMissingUidRange),
                     std::string(model::kMissingSupplementaryGroups)};
  return finding;
}

}  // namespace

Findings check_namespaces(HostProbe& probe, const Question& question) {
  return {check_trial(probe, question), check_limits(probe),
          probe.identity().is_root() ? check_root_pool(probe, question)
                                     : check_subordinate_ids(probe, question)};
}

}  // namespace airlock::host
