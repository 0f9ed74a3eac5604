#include "host/fake_host.h"

namespace airlock::host {

namespace {

constexpr std::string_view kMountsV2 =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr std::string_view kUserGroup = "/user.slice/user-1000.slice/user@1000.service/run-1.scope";

}  // namespace

FakeHost::FakeHost() {
  who.pid = 4242;
  kernel_name = {.release = "6.1.0-18-amd64",
                 .version = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1",
                 .machine = "x86_64"};
  files["/proc/self/mountinfo"] = kMountsV2;
  files["/proc/self/cgroup"] = "0::/user.slice/user-0.slice/session-1.scope\n";
  files["/proc/swaps"] = "Filename Type Size Used Priority\n";
  files["/proc/meminfo"] = "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n";
  files["/proc/net/tcp"] = "";
  files["/sys/fs/cgroup/cgroup.controllers"] = "cpuset cpu io memory hugetlb pids\n";
  files["/etc/subuid"] = "alice:100000:65536\n";
  files["/etc/subgid"] = "alice:100000:65536\n";
  set_sysctl("vm.overcommit_memory", "0");
  set_sysctl("kernel.core_pattern", "core");
  set_sysctl("user.max_user_namespaces", "31000");
  nodes["/run/systemd/system"] = {.kind = FileKind::kFolder, .owner = 0, .mode = 0755};
  for (const char* device :
       {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) {
    nodes[device] = {.kind = FileKind::kCharacterDevice, .owner = 0, .mode = 0666};
  }
  for (const char* program :
       {"/usr/bin/airlock-jail", "/usr/bin/airlock-nest", "/usr/bin/airlock-init",
        "/usr/bin/airlock-daemon", "/usr/bin/airlock-broker", "/usr/bin/airlock-link"}) {
    nodes[program] = {.kind = FileKind::kRegular, .owner = 0, .mode = 0755};
    programs.insert(program);
  }
  programs.insert({"/usr/sbin/mkfs.ext4", "/usr/bin/newuidmap", "/usr/bin/newgidmap"});
  disk = {.folder = "/var/lib", .free = base::gibibytes(50), .free_inodes = 1'000'000};
  cgroup_files = {"memory.peak", "pids.peak", "memory.swap.max"};
}

FakeHost FakeHost::as_user() {
  FakeHost host;
  host.who = {.uid = 1000, .gid = 1000, .groups = {}, .name = "alice", .pid = 4242};
  const std::string group = "/sys/fs/cgroup" + std::string(kUserGroup);
  host.files["/proc/self/cgroup"] = "0::" + std::string(kUserGroup) + "\n";
  host.files[group + "/cgroup.controllers"] = "cpu memory pids\n";
  host.files[group + "/cgroup.procs"] = "4242\n";
  host.files[group + "/cgroup.type"] = "domain\n";
  return host;
}

std::optional<std::string> FakeHost::read(const std::string& path) {
  const auto found = files.find(path);
  if (found == files.end()) return std::nullopt;
  return found->second;
}

std::optional<FileFacts> FakeHost::facts(const std::string& path) {
  if (const auto found = nodes.find(path); found != nodes.end()) return found->second;
  if (!files.contains(path)) return std::nullopt;
  return FileFacts{.kind = FileKind::kRegular, .owner = 0, .mode = 0644};
}

std::optional<Space> FakeHost::space(const std::string&) { return disk; }

std::optional<std::string> FakeHost::find_socket_owner(std::uint64_t inode) {
  const auto found = socket_owners.find(inode);
  if (found == socket_owners.end()) return std::nullopt;
  return found->second;
}

Attempt FakeHost::attempt(Trial trial) {
  if (const auto found = failures.find(trial); found != failures.end()) return found->second;
  return {.os_errno = 0, .step = {}, .value = trial == Trial::kLandlock ? 4 : 0};
}

CgroupAttempt FakeHost::attempt_cgroup(const CgroupTrial& trial) {
  CgroupAttempt attempt;
  if (const auto found = mkdir_errors.find(trial.parent); found != mkdir_errors.end()) {
    attempt.made = {.os_errno = found->second, .step = "mkdir"};
    return attempt;
  }
  const auto outcome_of = [this](const std::string& file) {
    const auto found = cgroup_file_errors.find(file);
    return Attempt{.os_errno = found != cgroup_file_errors.end() ? found->second : 0, .step = file};
  };
  for (const CgroupLimit& limit : trial.limits) attempt.limits.push_back(outcome_of(limit.file));
  for (const std::string& file : trial.files) {
    if (cgroup_files.contains(file)) attempt.files.push_back(file);
  }
  attempt.entered = outcome_of("cgroup.procs");
  return attempt;
}

void FakeHost::set_sysctl(std::string name, const std::string& value) {
  std::ranges::replace(name, '.', '/');
  files["/proc/sys/" + name] = value + "\n";
}

Question usual_question() {
  Question question;
  question.programs = "/usr/bin";
  question.state = "/var/lib/airlock";
  return question;
}

const Finding* find_finding(const Findings& findings, std::string_view id) {
  const auto found = std::ranges::find(findings, id, &Finding::id);
  return found == findings.end() ? nullptr : &*found;
}

}  // namespace airlock::host
