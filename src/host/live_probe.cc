#include "host/live_probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cerrno>

#include <filesystem>
#include <memory>
#include <system_error>

#include "base/ascii.h"
#include "base/unique_fd.h"
#include "host/proc_files.h"
#include "host/trials.h"

namespace airlock::host {

namespace {

// A host with more processes than this is not searched to its end for the owner of a port.
constexpr int kProcessesMax = 20'000;

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

FileKind kind_of(std::uint32_t mode) {
  if (S_ISREG(mode)) return FileKind::kRegular;
  if (S_ISDIR(mode)) return FileKind::kFolder;
  if (S_ISCHR(mode)) return FileKind::kCharacterDevice;
  return FileKind::kOther;
}

// Names of processes are chosen by their owners: nothing of them may steer a terminal.
std::string printable(std::string_view text) {
  std::string clean;
  for (const char letter : text) clean += letter >= ' ' && letter <= '~' ? letter : '?';
  return clean;
}

bool has_socket(const std::string& descriptors, const std::string& link_wanted) {
  const Folder folder(opendir(descriptors.c_str()));
  if (!folder) return false;
  while (const dirent* entry = readdir(folder.get())) {
    char link[64];
    const ssize_t size = readlinkat(dirfd(folder.get()), entry->d_name, link, sizeof link);
    if (size > 0 && std::string_view(link, static_cast<std::size_t>(size)) == link_wanted) {
      return true;
    }
  }
  return false;
}

}  // namespace

Identity LiveProbe::identity() {
  Identity identity{.uid = geteuid(), .gid = getegid(), .groups = {}, .name = {}, .pid = 0};
  identity.pid = static_cast<std::uint32_t>(getpid());
  const int count = getgroups(0, nullptr);
  if (count > 0) {
    identity.groups.resize(static_cast<std::size_t>(count));
    if (getgroups(count, identity.groups.data()) != count) identity.groups.clear();
  }
  // /etc/passwd alone: a name service may ask the network and take seconds to answer.
  const std::string users = read("/etc/passwd").value_or("");
  for (const std::string_view line : lines_of(users)) {
    const auto parts = split(line, ':');
    if (parts.size() < 3 || parse_number(parts[2]) != identity.uid) continue;
    identity.name = printable(parts[0]);
    break;
  }
  return identity;
}

KernelName LiveProbe::kernel() {
  utsname name{};
  if (uname(&name) != 0) return {};
  return {.release = name.release, .version = name.version, .machine = name.machine};
}

std::optional<std::string> LiveProbe::read(const std::string& path) {
  const base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return std::nullopt;
  std::string text;
  char buffer[16 * 1024];
  while (text.size() < kReadMax) {
    const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::nullopt;
    if (size == 0) break;
    text.append(buffer, static_cast<std::size_t>(size));
  }
  return text;
}

std::optional<FileFacts> LiveProbe::facts(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileFacts{
      .kind = kind_of(status.st_mode), .owner = status.st_uid, .mode = status.st_mode & 07777};
}

bool LiveProbe::may_write(const std::string& path) {
  return faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

bool LiveProbe::may_execute(const std::string& path) {
  return faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

std::optional<Space> LiveProbe::space(const std::string& folder) {
  std::error_code error;
  std::filesystem::path existing = std::filesystem::absolute(folder, error);
  while (!error && !std::filesystem::is_directory(existing, error) &&
         existing.has_relative_path()) {
    existing = existing.parent_path();
    error.clear();
  }
  struct statvfs status{};
  if (statvfs(existing.c_str(), &status) != 0) return std::nullopt;
  // Some file systems have no fixed number of files and say 0 of 0.
  const std::uint64_t inodes = status.f_files == 0 ? UINT64_MAX : status.f_favail;
  return Space{.folder = existing.string(),
               .free = base::ByteCount(status.f_bavail * status.f_frsize),
               .free_inodes = inodes};
}

std::optional<std::string> LiveProbe::find_socket_owner(std::uint64_t inode) {
  const std::string link = "socket:[" + std::to_string(inode) + "]";
  const Folder processes(opendir("/proc"));
  if (!processes) return std::nullopt;
  int looked_at = 0;
  while (const dirent* entry = readdir(processes.get())) {
    const std::string pid = entry->d_name;
    if (!parse_number(pid)) continue;
    if (++looked_at > kProcessesMax) break;
    if (!has_socket("/proc/" + pid + "/fd", link)) continue;
    const std::string name = read("/proc/" + pid + "/comm").value_or("?");
    return printable(base::trimmed(name)) + " (pid " + pid + ")";
  }
  return std::nullopt;
}

Attempt LiveProbe::attempt(Trial trial) { return attempt_trial(trial); }

CgroupAttempt LiveProbe::attempt_cgroup(const CgroupTrial& trial) {
  return attempt_cgroup_trial(trial);
}

}  // namespace airlock::host
