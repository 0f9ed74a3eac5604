#include "jail/durable_folder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "jail/channel.h"
#include "jail/wire_durable.h"
#include "sys/files.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr const char* kFolderName = "jobs";
constexpr int kBacklog = 1'024;  // what a keeper that hangs can be asked before it cannot be found
constexpr int kHearTimeoutMs = 2'000;
constexpr int kEndTimeoutMs = 60'000;
constexpr int kDeathTimeoutMs = 10'000;

// Or hangs up, or ends.
bool becomes_readable(int fd, int timeout_ms) {
  pollfd set = {fd, POLLIN | POLLRDHUP, 0};
  int count = 0;
  do { count = poll(&set, 1, timeout_ms); } while (count < 0 && errno == EINTR);
  return count == 1;
}

// FNV-1a, 64 bits: short, and no two state directories of a host will meet in it by chance.
std::string prefix_of(std::string_view state_directory) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : state_directory) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  char text[24];
  std::snprintf(text, sizeof text, "%016llx.", static_cast<unsigned long long>(hash));
  return text;
}

// Names are taken and given up one at a time, whichever launcher does it.
// The lock is of an opening of its own: forks share the folder's, and would not exclude each other.
UniqueFd lock_folder(const UniqueFd& directory) {
  UniqueFd lock(openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  while (flock(lock.get(), LOCK_EX) != 0 && errno == EINTR) {}
  return lock;
}

// By the folder's descriptor, since a path would be too long for a socket.
sockaddr_un address_of(const UniqueFd& directory, const std::string& file) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory.get(),
                file.c_str());
  return address;
}

// Our own requests as ordinary calls see them.
const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

bool is_durable_name(std::string_view name) {
  return !name.empty() && name.size() <= kDurableNameBytesMax &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

base::Result<DurableFolder> DurableFolder::open(const std::string& run_directory,
                                                const std::string& state_directory) {
  const std::string path = run_directory + "/" + kFolderName;
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return base::fail_errno("mkdir " + path);
  DurableFolder folder;
  AIRLOCK_ASSIGN(folder.directory_,
                 sys::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct stat status{};
  if (fstat(folder.directory_.get(), &status) != 0) return base::fail_errno("stat " + path);
  if (status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
    return base::fail(base::ErrorCode::kPermissionDenied, path + " is open to others",
                      "chown it to who runs Airlock, and chmod 700 it");
  }
  folder.prefix_ = prefix_of(state_directory);
  return folder;
}

int DurableFolder::connect_to(std::string_view name, UniqueFd* connection) const {
  UniqueFd made(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.valid()) return errno;
  const sockaddr_un address = address_of(directory_, file_name(name));
  if (connect(made.get(), generic(address), sizeof address) != 0) return errno;
  *connection = std::move(made);
  return 0;
}

int DurableFolder::listen_as(std::string_view name, UniqueFd* listener) const {
  const UniqueFd lock = lock_folder(directory_);
  UniqueFd somebody;
  const int found = connect_to(name, &somebody);
  if (found == 0 || found == EAGAIN) return EEXIST;
  if (found == ECONNREFUSED) remove(name);
  UniqueFd made(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.valid()) return errno;
  const sockaddr_un address = address_of(directory_, file_name(name));
  const mode_t before = umask(0177);
  const int bound = bind(made.get(), generic(address), sizeof address);
  const int error = errno;
  umask(before);
  if (bound != 0) return error;
  if (listen(made.get(), kBacklog) != 0) return errno;
  *listener = std::move(made);
  return 0;
}

DurableFolder::Names DurableFolder::list() const {
  Names names;
  sys::Directory listing(directory_.get(), ".");
  while (const char* found = listing.next()) {
    std::string_view name = found;
    if (!name.starts_with(prefix_)) continue;
    name.remove_prefix(prefix_.size());
    UniqueFd connection;
    const int error = connect_to(name, &connection);
    if (error == 0 || error == EAGAIN) names.alive.emplace_back(name);
    if (error == ECONNREFUSED) names.dead.emplace_back(name);
  }
  std::ranges::sort(names.alive);
  return names;
}

void DurableFolder::remove(std::string_view name) const {
  unlinkat(directory_.get(), file_name(name).c_str(), 0);
}

void DurableFolder::remove_dead(std::string_view name) const {
  const UniqueFd lock = lock_folder(directory_);
  UniqueFd connection;
  if (connect_to(name, &connection) == ECONNREFUSED) remove(name);
}

int DurableFolder::stop_keeper(std::string_view name) const {
  UniqueFd connection;
  if (const int error = connect_to(name, &connection); error != 0) return error;
  ucred keeper{};
  socklen_t size = sizeof keeper;
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &keeper, &size) != 0) return errno;
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, keeper.pid, 0)));
  if (!pidfd.valid()) return errno;
  // As long as it has not hung up it lives, and the number is its own.
  if (becomes_readable(connection.get(), 0)) return ECONNREFUSED;
  const bool asked = send_message(connection.get(), DiscardWorkspace{.name = name}) == 0;
  const bool heard = asked && becomes_readable(connection.get(), kHearTimeoutMs);
  if (heard && becomes_readable(pidfd.get(), kEndTimeoutMs)) return 0;
  if (syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0) return errno;
  return becomes_readable(pidfd.get(), kDeathTimeoutMs) ? EOWNERDEAD : ETIMEDOUT;
}

}  // namespace airlock::jail
