#include "jail/id_map.h"

#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "sys/files.h"

namespace airlock::jail {
namespace {

constexpr const char* kNewUidMap = "/usr/bin/newuidmap";
constexpr const char* kNewGidMap = "/usr/bin/newgidmap";
constexpr std::uint32_t kSubordinateIdsPerSlot = 2;

struct Range {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// The user's name without NSS, which a static program cannot load: from the file itself.
std::string own_name(uid_t uid) {
  const auto passwd = sys::read_file_at(AT_FDCWD, "/etc/passwd");
  if (!passwd.has_value()) return {};
  const std::string suffix = ":x:" + std::to_string(uid) + ":";
  const std::size_t at = passwd->find(suffix);
  if (at == std::string::npos) return {};
  const std::size_t start = passwd->rfind('\n', at);
  return passwd->substr(start + 1, at - start - 1);
}

// The largest range that "name:first:count" lines give to `name` or `uid`.
Range find_range(const char* path, const std::string& name, uid_t uid) {
  Range best;
  const auto text = sys::read_file_at(AT_FDCWD, path);
  if (!text.has_value()) return best;
  std::size_t start = 0;
  while (start < text->size()) {
    const std::size_t end = std::min(text->find('\n', start), text->size());
    const std::string line = text->substr(start, end - start);
    start = end + 1;
    char owner[64];
    Range range;
    if (std::sscanf(line.c_str(), "%63[^:]:%u:%u", owner, &range.first, &range.count) != 3)
      continue;
    const bool ours = name == owner || std::to_string(uid) == owner;
    if (ours && range.count > best.count) best = range;
  }
  return best;
}

int run_map_tool(const char* tool, pid_t pid, std::uint32_t first) {
  std::string words[] = {
      tool, std::to_string(pid),      std::to_string(kInitId),   std::to_string(first),
      "1",  std::to_string(kGuestId), std::to_string(first + 1), "1"};
  char* argv[std::size(words) + 1] = {};
  for (std::size_t i = 0; i < std::size(words); ++i) argv[i] = words[i].data();
  char* environment[] = {nullptr};
  pid_t child = -1;
  if (const int failure = posix_spawn(&child, tool, nullptr, nullptr, argv, environment)) {
    return failure;
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) return errno;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EPERM;
}

int write_map(pid_t pid, const char* file, std::string_view text) {
  return sys::write_file_at(AT_FDCWD, ("/proc/" + std::to_string(pid) + "/" + file).c_str(), text);
}

std::string map_line(std::uint32_t inside, std::uint32_t outside, std::uint32_t count) {
  return std::to_string(inside) + " " + std::to_string(outside) + " " + std::to_string(count);
}

}  // namespace

IdHost open_id_host() {
  IdHost host;
  host.own_uid = geteuid();
  host.own_gid = getegid();
  if (host.own_uid == 0) {
    host.kind = IdMapKind::kPool;
    return host;
  }
  if (access(kNewUidMap, X_OK) != 0 || access(kNewGidMap, X_OK) != 0) return host;
  const std::string name = own_name(host.own_uid);
  const Range uids = find_range("/etc/subuid", name, host.own_uid);
  const Range gids = find_range("/etc/subgid", name, host.own_uid);
  const std::uint32_t count = std::min(uids.count, gids.count);
  if (count < kSubordinateIdsPerSlot) return host;
  host.kind = IdMapKind::kSubordinate;
  host.subordinate_uid = uids.first;
  host.subordinate_gid = gids.first;
  host.subordinate_count = count;
  host.slots_max = std::min(kSlotsMax, count / kSubordinateIdsPerSlot);
  return host;
}

std::uint32_t init_id(const IdHost& host, bool force_single) {
  return host.kind == IdMapKind::kSingle || force_single ? kGuestId : kInitId;
}

uid_t host_uid(const IdHost& host, std::uint32_t slot, std::uint32_t inside_id) {
  if (host.kind == IdMapKind::kPool) return kPoolFirst + slot * kPoolIdsPerSlot + inside_id;
  return host.own_uid;
}

gid_t host_gid(const IdHost& host, std::uint32_t slot, std::uint32_t inside_id) {
  if (host.kind == IdMapKind::kPool) return kPoolFirst + slot * kPoolIdsPerSlot + inside_id;
  return host.own_gid;
}

int write_id_maps(const IdHost& host, std::uint32_t slot, bool force_single, pid_t pid) {
  if (host.kind == IdMapKind::kPool) {
    const std::string line = map_line(0, kPoolFirst + slot * kPoolIdsPerSlot, kPoolIdsPerSlot);
    if (const int failure = write_map(pid, "gid_map", line)) return failure;
    return write_map(pid, "uid_map", line);
  }
  if (host.kind == IdMapKind::kSubordinate && !force_single) {
    const std::uint32_t offset = slot * kSubordinateIdsPerSlot;
    if (const int failure = run_map_tool(kNewGidMap, pid, host.subordinate_gid + offset)) {
      return failure;
    }
    return run_map_tool(kNewUidMap, pid, host.subordinate_uid + offset);
  }
  if (const int failure = write_map(pid, "setgroups", "deny")) return failure;
  if (const int failure = write_map(pid, "gid_map", map_line(kGuestId, host.own_gid, 1))) {
    return failure;
  }
  return write_map(pid, "uid_map", map_line(kGuestId, host.own_uid, 1));
}

}  // namespace airlock::jail
