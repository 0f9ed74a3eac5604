#include "sys/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "sys/files.h"

namespace airlock::sys {
namespace {

using base::UniqueFd;

// Removing a group is retried this often, a millisecond apart: the kernel lets go of dead members
// late.
constexpr int kRemoveAttempts = 2'000;
// Where we go, and who started us, when our own group is the only one that is delegated to us.
constexpr const char* kLeafName = "airlock-launcher";
constexpr std::uint64_t kCpuPeriodUs = 100'000;  // Linux's default CFS period

// The directory descriptor of a group: O_RDONLY, since it is also listed.
UniqueFd open_group(int parent_fd, const char* name) {
  return UniqueFd(openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// The members of a group, as far as one read of a bounded size shows them; callers ask again.
template <typename Visitor>
void for_each_member(int group_fd, Visitor&& visitor) {
  const auto members = read_file_at(group_fd, "cgroup.procs");
  if (!members.has_value()) return;
  const char* at = members->data();
  const char* const end = at + members->size();
  while (at < end) {
    int pid = 0;
    const auto parsed = std::from_chars(at, end, pid);
    if (parsed.ec != std::errc()) break;
    visitor(pid);
    at = parsed.ptr + 1;
  }
}

// A member that our pid namespace cannot name is 0, and kill(0) would hit our own group.
void signal_members(int group_fd, int number, int spared_pid) {
  for_each_member(group_fd, [&](int pid) {
    if (pid > 0 && pid != spared_pid) kill(pid, number);
  });
}

// Empties and removes one group directory of a dead owner, with the groups below it.
void reap_group(int parent_fd, const char* name) {
  const UniqueFd group = open_group(parent_fd, name);
  if (!group.valid()) return;
  Directory below(group.get(), ".");
  while (const char* child = below.next()) {
    if (below.may_be_directory()) reap_group(group.get(), child);
  }
  write_file_at(group.get(), "pids.max", "0");
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    signal_members(group.get(), SIGKILL, 0);
    if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return;
    usleep(1'000);
  }
}

std::uint8_t controller_bit(std::string_view name) {
  if (name == "memory") return kControllerMemory;
  if (name == "pids") return kControllerPids;
  if (name == "cpu") return kControllerCpu;
  if (name == "cpuacct") return kControllerCpuacct;
  return 0;
}

std::uint8_t controller_bits(std::string_view list, char separator) {
  std::uint8_t bits = 0;
  while (!list.empty()) {
    const std::size_t end = list.find(separator);
    std::string_view word = list.substr(0, end);
    while (!word.empty() && word.back() == '\n') word.remove_suffix(1);
    bits |= controller_bit(word);
    if (end == std::string_view::npos) break;
    list.remove_prefix(end + 1);
  }
  return bits;
}

// Our own path in the unified hierarchy, from /proc/self/cgroup ("0::/user.slice/...").
std::string own_unified_path() {
  const auto text = read_file_at(AT_FDCWD, "/proc/self/cgroup");
  if (!text.has_value()) return "/";
  const std::size_t start = text->find("0::");
  if (start == std::string::npos) return "/";
  return text->substr(start + 3, text->find('\n', start) - start - 3);
}

// A group hands controllers down only while it has no members of its own (but for the real root).
std::uint8_t enable_controllers(int directory_fd) {
  const auto offered = read_file_at(directory_fd, "cgroup.controllers");
  if (!offered.has_value()) return 0;
  const std::uint8_t bits = controller_bits(*offered, ' ');
  std::uint8_t enabled = 0;
  const auto enable = [&](Controller bit, std::string_view value) {
    if ((bits & bit) != 0 && write_file_at(directory_fd, "cgroup.subtree_control", value) == 0) {
      enabled |= bit;
    }
  };
  enable(kControllerMemory, "+memory");
  enable(kControllerPids, "+pids");
  enable(kControllerCpu, "+cpu");
  return enabled;
}

bool offers_controllers(int directory_fd) {
  const auto offered = read_file_at(directory_fd, "cgroup.controllers");
  return offered.has_value() && controller_bits(*offered, ' ') != 0;
}

// The group below which ours is made; `path` is where it is. Root takes the top of the tree, others
// the nearest group above them that was delegated to them and has no members of its own.
UniqueFd find_unified_top(std::string* path, std::string_view own) {
  const std::string mount = *path;
  for (std::string_view at = own;; at = at.substr(0, at.rfind('/'))) {
    *path = mount + std::string(at);
    UniqueFd group = open_group(AT_FDCWD, path->c_str());
    if (!group.valid() || access(path->c_str(), W_OK) != 0) break;
    if (offers_controllers(group.get()) && enable_controllers(group.get()) != 0) return group;
    if (at.empty()) break;
  }
  // Only our own group is left: it can be used once nobody is in it but in a leaf.
  *path = mount + std::string(own);
  UniqueFd group = open_group(AT_FDCWD, path->c_str());
  if (!group.valid() || access(path->c_str(), W_OK) != 0) return {};
  if (!offers_controllers(group.get())) return {};
  const std::string parent = std::to_string(getppid());
  mkdirat(group.get(), kLeafName, 0755);
  const UniqueFd leaf = open_group(group.get(), kLeafName);
  if (leaf.valid()) {
    write_file_at(leaf.get(), "cgroup.procs", parent);
    write_file_at(leaf.get(), "cgroup.procs", "0");
  }
  if (enable_controllers(group.get()) != 0) return group;
  write_file_at(group.get(), "cgroup.procs", parent);
  write_file_at(group.get(), "cgroup.procs", "0");
  unlinkat(group.get(), kLeafName, AT_REMOVEDIR);
  return {};
}

// cpu.stat gives usage in every v2 group, also without the cpu controller.
void add_unified(CgroupHost* host, const std::string& mount, std::string_view parent_name,
                 bool privileged) {
  std::string path = mount;
  std::string own = privileged ? std::string() : own_unified_path();
  if (own == "/") own.clear();
  const UniqueFd top = find_unified_top(&path, own);
  if (!top.valid()) return;
  const std::string name(parent_name);
  if (mkdirat(top.get(), name.c_str(), 0755) != 0 && errno != EEXIST) return;
  UniqueFd parent = open_group(top.get(), name.c_str());
  if (!parent.valid()) return;
  const std::uint8_t enabled = enable_controllers(parent.get());
  if (enabled == 0) return;
  const auto controllers = static_cast<std::uint8_t>(enabled | kControllerCpuacct);
  host->controllers |= controllers;
  host->hierarchies.push_back({true, controllers, path + "/" + name, std::move(parent)});
}

void add_v1(CgroupHost* host, const std::string& mount, std::uint8_t bits,
            std::string_view parent_name) {
  const auto fresh = static_cast<std::uint8_t>(bits & ~host->controllers);
  if (fresh == 0) return;
  const std::string path = mount + "/" + std::string(parent_name);
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return;
  UniqueFd parent = open_group(AT_FDCWD, path.c_str());
  if (!parent.valid()) return;
  if ((fresh & kControllerMemory) != 0) write_file_at(parent.get(), "memory.use_hierarchy", "1");
  host->controllers |= fresh;
  host->hierarchies.push_back({false, fresh, path, std::move(parent)});
}

std::optional<std::uint64_t> scaled(std::optional<std::uint64_t> value, std::uint64_t factor) {
  if (value.has_value()) *value *= factor;
  return value;
}

}  // namespace

CgroupHost open_cgroup_host(std::string_view parent_name, bool privileged) {
  CgroupHost host;
  const auto mounts = read_file_at(AT_FDCWD, "/proc/self/mounts");
  if (!mounts.has_value()) return host;
  bool v1_seen = false;
  bool v2_seen = false;
  std::string_view rest = *mounts;
  while (!rest.empty()) {  // device mountpoint type options ...
    const std::size_t line_end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, line_end);
    rest.remove_prefix(std::min(line_end + 1, rest.size()));
    std::string_view fields[4];
    for (auto& field : fields) {
      const std::size_t end = std::min(line.find(' '), line.size());
      field = line.substr(0, end);
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    if (fields[2] == "cgroup2") {
      v2_seen = true;
      add_unified(&host, std::string(fields[1]), parent_name, privileged);
    } else if (fields[2] == "cgroup" && privileged) {
      v1_seen = true;
      add_v1(&host, std::string(fields[1]), controller_bits(fields[3], ','), parent_name);
    }
  }
  if (host.hierarchies.empty()) return host;
  host.kind = !v1_seen ? CgroupKind::kV2 : (v2_seen ? CgroupKind::kHybrid : CgroupKind::kV1);
  return host;
}

bool has_unified(const CgroupHost& host) {
  return std::ranges::any_of(host.hierarchies, &CgroupHierarchy::unified);
}

base::Result<Cgroup> Cgroup::create(const CgroupHost& host, const std::string& name,
                                    const CgroupLimits& limits, bool for_children) {
  Cgroup group;
  group.name_ = name;
  group.holds_groups_ = for_children;
  for (const CgroupHierarchy& hierarchy : host.hierarchies) {
    const bool only_cpu = hierarchy.controllers == kControllerCpu;
    if (only_cpu && limits.cpu_rate_percent == 0 && !for_children) continue;
    int made = mkdirat(hierarchy.parent_fd.get(), name.c_str(), 0755);
    if (made != 0 && errno == EEXIST) {
      reap_group(hierarchy.parent_fd.get(), name.c_str());
      made = mkdirat(hierarchy.parent_fd.get(), name.c_str(), 0755);
    }
    if (made != 0) { return base::fail_errno("mkdir " + hierarchy.path + "/" + name); }
    UniqueFd fd = open_group(hierarchy.parent_fd.get(), name.c_str());
    if (!fd.valid()) return base::fail_errno("open " + hierarchy.path + "/" + name);
    group.groups_.push_back({&hierarchy, std::move(fd)});
  }
  if (const int failure = group.set_limits(limits); failure != 0) {
    return base::fail(base::errno_error("limits of " + name, failure));
  }
  return group;
}

void Cgroup::take(Cgroup&& other) {
  name_ = std::move(other.name_);
  holds_groups_ = other.holds_groups_;
  groups_ = std::move(other.groups_);
  oom_event_ = std::move(other.oom_event_);
}

Cgroup::~Cgroup() {
  // Nearly always nobody is left in it.
  if (groups_.empty() || remove()) return;
  kill_all();
  // With what somebody else has put below it, as dockerd does: it may never remove that itself.
  for (const Group& group : groups_) {
    reap_group(group.hierarchy->parent_fd.get(), name_.c_str());
  }
}

const Cgroup::Group* Cgroup::find(std::uint8_t controller) const {
  for (const Group& group : groups_) {
    if ((group.hierarchy->controllers & controller) != 0) return &group;
  }
  return nullptr;
}

int Cgroup::set_limits(const CgroupLimits& limits) {
  int failure = 0;
  const auto set = [&failure](const Group* group, const char* file, const std::string& value) {
    if (group != nullptr && failure == 0) failure = write_file_at(group->fd.get(), file, value);
  };
  const Group* memory = limits.memory_bytes != 0 ? find(kControllerMemory) : nullptr;
  if (memory != nullptr && memory->hierarchy->unified) {
    set(memory, "memory.max", std::to_string(limits.memory_bytes));
    write_file_at(memory->fd.get(), "memory.swap.max", "0");  // absent without swap
    set(memory, "memory.oom.group", "1");
  } else {
    const std::string bytes = std::to_string(limits.memory_bytes);
    set(memory, "memory.limit_in_bytes", bytes);
    if (memory != nullptr) {  // absent where swap accounting is off
      write_file_at(memory->fd.get(), "memory.memsw.limit_in_bytes", bytes);
      // The kernel keeps this one below the one with swap, which has to be raised first.
      if (failure == EINVAL) {
        failure = write_file_at(memory->fd.get(), "memory.limit_in_bytes", bytes);
      }
      // On v1 the buffers of TCP sockets are counted apart.
      write_file_at(memory->fd.get(), "memory.kmem.tcp.limit_in_bytes", bytes);
    }
  }
  if (limits.pids != 0) set(find(kControllerPids), "pids.max", std::to_string(limits.pids));
  const Group* cpu = limits.cpu_rate_percent != 0 ? find(kControllerCpu) : nullptr;
  const std::string quota = std::to_string(limits.cpu_rate_percent * kCpuPeriodUs / 100);
  if (cpu != nullptr && cpu->hierarchy->unified) {
    set(cpu, "cpu.max", quota + " " + std::to_string(kCpuPeriodUs));
  } else {
    set(cpu, "cpu.cfs_quota_us", quota);
  }
  return failure;
}

void Cgroup::watch_oom() {
  const Group* memory = find(kControllerMemory);
  if (memory == nullptr) return;
  if (memory->hierarchy->unified) {
    oom_event_.reset(openat(memory->fd.get(), "memory.events", O_RDONLY | O_CLOEXEC));
    return;
  }
  const UniqueFd control(openat(memory->fd.get(), "memory.oom_control", O_RDONLY | O_CLOEXEC));
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!control.valid() || !event.valid()) return;
  const std::string request = std::to_string(event.get()) + " " + std::to_string(control.get());
  if (write_file_at(memory->fd.get(), "cgroup.event_control", request) == 0) {
    oom_event_ = std::move(event);
  }
}

short Cgroup::oom_event_mask() const {
  const Group* memory = find(kControllerMemory);
  return memory != nullptr && memory->hierarchy->unified ? POLLPRI : POLLIN;
}

void Cgroup::acknowledge_oom_event() {
  char text[512];  // reading is what clears the event, on both versions
  if (pread(oom_event_.get(), text, sizeof text, 0) < 0 && errno == ESPIPE) {
    if (read(oom_event_.get(), text, sizeof(std::uint64_t)) < 0) return;
  }
}

int Cgroup::unified_fd() const {
  for (const Group& group : groups_) {
    if (group.hierarchy->unified) return group.fd.get();
  }
  return -1;
}

void Cgroup::enable_children() {
  if (const int fd = unified_fd(); fd >= 0) enable_controllers(fd);
}

std::vector<UniqueFd> Cgroup::open_entrances(bool also_unified) const {
  std::vector<UniqueFd> entrances;
  for (const Group& group : groups_) {
    const bool unified = group.hierarchy->unified;
    if (unified && !also_unified) continue;
    entrances.emplace_back(
        openat(group.fd.get(), unified ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC));
  }
  return entrances;
}

std::optional<std::uint64_t> Cgroup::cpu_ns() const {
  const Group* group = find(kControllerCpuacct);
  if (group == nullptr) return std::nullopt;
  if (!group->hierarchy->unified) return read_number_at(group->fd.get(), "cpuacct.usage");
  const auto text = read_file_at(group->fd.get(), "cpu.stat");
  if (!text.has_value()) return std::nullopt;
  return scaled(find_keyed_number(*text, "usage_usec"), 1'000);
}

std::uint64_t Cgroup::oom_kills() const {
  const Group* memory = find(kControllerMemory);
  if (memory == nullptr) return 0;
  const char* const file = memory->hierarchy->unified ? "memory.events" : "memory.oom_control";
  const auto count = [file](int group_fd, const std::string& below) {
    const auto text = read_file_at(group_fd, (below + file).c_str());
    return text.has_value() ? find_keyed_number(*text, "oom_kill").value_or(0) : 0;
  };
  std::uint64_t kills = count(memory->fd.get(), "");
  if (memory->hierarchy->unified || !holds_groups_) return kills;
  // v1 counts where the killed process was, and not above.
  Directory groups(memory->fd.get(), ".");
  while (const char* name = groups.valid() ? groups.next() : nullptr) {
    if (groups.may_be_directory()) kills += count(memory->fd.get(), std::string(name) + "/");
  }
  return kills;
}

CgroupUsage Cgroup::usage() const {
  CgroupUsage usage;
  usage.oom_kills = oom_kills();
  usage.cpu_ns = cpu_ns();
  if (const Group* memory = find(kControllerMemory); memory != nullptr) {
    usage.memory_peak_bytes = read_number_at(
        memory->fd.get(), memory->hierarchy->unified ? "memory.peak" : "memory.max_usage_in_bytes");
  }
  if (const Group* pids = find(kControllerPids); pids != nullptr) {
    usage.pids_peak = read_number_at(pids->fd.get(), "pids.peak");
    if (const auto text = read_file_at(pids->fd.get(), "pids.events"); text.has_value()) {
      usage.pids_denied = find_keyed_number(*text, "max").value_or(0);
    }
  }
  return usage;
}

void Cgroup::signal_all(int number) {
  if (!groups_.empty()) signal_members(groups_.front().fd.get(), number, 0);
}

void Cgroup::kill_all(int spared_pid) {
  if (groups_.empty()) return;
  const Group& first = groups_.front();
  if (spared_pid == 0 && first.hierarchy->unified &&
      write_file_at(first.fd.get(), "cgroup.kill", "1") == 0) {
    return;
  }
  // With no room for a new task the list of members can only shrink.
  if (const Group* pids = find(kControllerPids)) write_file_at(pids->fd.get(), "pids.max", "0");
  signal_members(first.fd.get(), SIGKILL, spared_pid);
}

bool Cgroup::empty(int spared_pid) const {
  for (const Group& group : groups_) {
    bool others = false;
    for_each_member(group.fd.get(), [&](int pid) { others |= pid != spared_pid; });
    if (others) return false;
  }
  return true;
}

bool Cgroup::remove() {
  while (!groups_.empty()) {
    const Group& group = groups_.back();
    if (unlinkat(group.hierarchy->parent_fd.get(), name_.c_str(), AT_REMOVEDIR) != 0 &&
        errno != ENOENT) {
      return false;
    }
    groups_.pop_back();
  }
  return true;
}

bool sweep_cgroups(const CgroupHost& host, const std::string& kept,
                   bool (*claim)(void* context, std::uint32_t slot), void* context) {
  bool left = false;
  for (const CgroupHierarchy& hierarchy : host.hierarchies) {
    if (holds_no_folder_but(hierarchy.parent_fd.get(), ".", kept)) continue;
    Directory groups(hierarchy.parent_fd.get(), ".");
    while (const char* found = groups.next()) {
      const std::string_view name = found;
      std::uint32_t slot = 0;
      if (!name.starts_with('s') || name == kept) continue;
      const auto parsed = std::from_chars(name.data() + 1, name.data() + name.size(), slot);
      const bool ours = parsed.ec == std::errc() && (*parsed.ptr == '.' || *parsed.ptr == '\0');
      if (!ours) continue;
      if (claim(context, slot)) {
        reap_group(hierarchy.parent_fd.get(), found);
      } else {
        left = true;
      }
    }
  }
  return left;
}

}  // namespace airlock::sys
