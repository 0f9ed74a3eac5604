// What lies in one part of the workspace, told entry by entry, so that the keeper can make a copy
// without looking at a path that a guest chose.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>

#include "apps/init/init.h"
#include "jail/path_rules.h"

namespace airlock::init {
namespace {

using base::UniqueFd;
using jail::EntryKind;

constexpr std::size_t kEntryBytes = 4096;
constexpr std::size_t kTargetBytesMax = 4096;

// Nobody of the guest's is alive; what they left is hostile all the same.
class TreeReading {
 public:
  int error() const { return error_; }

  void walk(int directory, std::uint32_t depth) {
    if (depth > jail::kGuestPathDepthMax) return fail(ELOOP);
    alignas(8) char entries[kEntryBytes];
    while (error_ == 0) {
      const long size =
          syscall(SYS_getdents64, static_cast<long>(directory), entries, sizeof entries);
      if (size < 0) fail(errno);
      if (size <= 0) return;
      for (long at = 0; at < size && error_ == 0;) {
        const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
        at += entry->d_reclen;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") visit(directory, entry->d_name, depth);
      }
    }
  }

 private:
  void visit(int directory, const char* name, std::uint32_t depth) {
    const UniqueFd seen = open_inside(directory, name, O_PATH | O_NOFOLLOW);
    struct stat status{};
    if (!seen.valid() || fstat(seen.get(), &status) != 0) return fail(errno);
    jail::TreeEntry entry;
    entry.name = name;
    entry.executable = (status.st_mode & 0111) != 0;
    entry.modified_s = status.st_mtim.tv_sec;
    entry.modified_ns = static_cast<std::uint32_t>(status.st_mtim.tv_nsec);
    if (S_ISDIR(status.st_mode)) {
      const UniqueFd below = open_inside(directory, name, O_RDONLY | O_DIRECTORY);
      if (!below.valid()) return fail(errno);
      entry.kind = EntryKind::kFolder;
      send(entry);
      if (error_ == 0) walk(below.get(), depth + 1);
      entry.kind = EntryKind::kFolderEnd;
      send(entry);
    } else if (S_ISREG(status.st_mode)) {
      const UniqueFd file = open_inside(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
      if (!file.valid()) return fail(errno);
      entry.kind = EntryKind::kFile;
      send(entry, file.get());
    } else if (S_ISLNK(status.st_mode)) {
      char target[kTargetBytesMax];
      const long size = syscall(SYS_readlinkat, static_cast<long>(seen.get()), "", target,
                                static_cast<long>(sizeof target));
      if (size < 0) return fail(errno);
      entry.kind = EntryKind::kLink;
      entry.target = {target, static_cast<std::size_t>(size)};
      send(entry);
    } else {
      entry.kind = EntryKind::kOther;
      send(entry);
    }
  }

  void send(const jail::TreeEntry& entry, int fd = -1) {
    const int fds[] = {fd};
    const std::span<const int> passed(fds, fd >= 0 ? 1 : 0);
    if (error_ == 0) fail(jail::send_message(kChannelFd, entry, passed));
  }
  void fail(int error) { error_ = error; }

  int error_ = 0;
};

}  // namespace

void read_tree(const jail::ReadTree& request) {
  jail::TreeDone done;
  char name[16] = {};
  if (request.directory.size() >= sizeof name) {
    done.os_errno = EINVAL;
  } else {
    __builtin_memcpy(name, request.directory.data(), request.directory.size());
    const UniqueFd top = open_inside(kWorkspaceFd, name, O_RDONLY | O_DIRECTORY);
    if (top.valid()) {
      TreeReading reading;
      reading.walk(top.get(), 0);
      done.os_errno = reading.error();
    } else {
      done.os_errno = errno;
    }
  }
  jail::send_message(kChannelFd, done);
}

}  // namespace airlock::init
