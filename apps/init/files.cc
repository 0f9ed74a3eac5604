#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>

#include "apps/init/init.h"
#include "apps/init/lower.h"
#include "base/unique_fd.h"
#include "jail/path_rules.h"

namespace airlock::init {

using base::UniqueFd;

namespace {

constexpr std::uint64_t kStayInside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
constexpr std::size_t kCopyChunk = 1u << 20;
constexpr std::size_t kEntryBytes = 4096;

}  // namespace

UniqueFd open_inside(int directory, const char* path, std::uint64_t flags,
                     std::uint64_t mode_bits) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode_bits;
  how.resolve = kStayInside;
  const auto fd =
      static_cast<int>(syscall(SYS_openat2, static_cast<long>(directory), path, &how, sizeof how));
  if (fd >= 0 || errno != ENOSYS || mode() == Mode::kFull) return UniqueFd(fd);
  // Every path here is one name of a folder: that it is no link is all there is to ask for.
  const std::string_view name = path;
  if (name.find('/') != std::string_view::npos || name == ".." || name == ".") return {};
  return UniqueFd(openat(directory, path, static_cast<int>(how.flags) | O_NOFOLLOW,
                         static_cast<unsigned>(mode_bits)));
}

namespace {

// What comes over a link is a pipe.
int copy_stream(int from, int to) {
  char buffer[4096];
  while (true) {
    const ssize_t count = read(from, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return 0;
    for (ssize_t done = 0; done < count;) {
      const ssize_t written = write(to, buffer + done, static_cast<std::size_t>(count - done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      done += written;
    }
  }
}

int copy_all(int from, int to) {
  struct stat status{};
  if (fstat(from, &status) == 0 && S_ISFIFO(status.st_mode)) return copy_stream(from, to);
  off_t offset = 0;
  while (true) {
    const ssize_t count = sendfile(to, from, &offset, kCopyChunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return 0;
  }
}

// One walk over what a guest left. Everything it meets is hostile: names, kinds, sizes, depth.
class Collection {
 public:
  explicit Collection(const jail::Collect& request) : request_(request) {}

  int run() {
    char name[16] = {};
    if (request_.directory.size() >= sizeof name) return EINVAL;
    __builtin_memcpy(name, request_.directory.data(), request_.directory.size());
    const UniqueFd top = open_inside(kWorkspaceFd, name, O_RDONLY | O_DIRECTORY);
    if (!top.valid()) return errno;
    walk(top.get(), 0, 0);
    return 0;
  }
  bool truncated() const { return truncated_; }

 private:
  void walk(int directory, std::size_t path_size, std::uint32_t depth) {
    alignas(8) char entries[kEntryBytes];
    while (!truncated_) {
      const long size =
          syscall(SYS_getdents64, static_cast<long>(directory), entries, sizeof entries);
      if (size <= 0) return;
      for (long at = 0; at < size && !truncated_;) {
        const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
        at += entry->d_reclen;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") visit(directory, entry->d_name, path_size, depth);
      }
    }
  }

  void visit(int directory, const char* name, std::size_t path_size, std::uint32_t depth) {
    const std::size_t name_size = std::string_view(name).size();
    const std::size_t start = path_size + (path_size > 0 ? 1 : 0);
    if (start + name_size > jail::kGuestPathBytesMax) {
      refuse(std::string_view(path_, path_size), "path below it is too long");
      return;
    }
    if (path_size > 0) path_[path_size] = '/';
    __builtin_memcpy(path_ + start, name, name_size + 1);
    const std::string_view path(path_, start + name_size);
    const UniqueFd seen = open_inside(directory, name, O_PATH | O_NOFOLLOW);
    struct stat status{};
    if (!seen.valid() || fstat(seen.get(), &status) != 0) {
      refuse_matching(path, "cannot be opened");
    } else if (S_ISDIR(status.st_mode)) {
      const UniqueFd below = open_inside(directory, name, O_RDONLY | O_DIRECTORY);
      if (depth + 1 >= jail::kGuestPathDepthMax) return refuse(path, "deeper than 64 directories");
      if (!below.valid()) return refuse(path, "cannot be opened");
      walk(below.get(), path.size(), depth + 1);
    } else if (S_ISREG(status.st_mode)) {
      give(directory, name, path);
    } else {
      refuse_matching(path, kind_name(status.st_mode));
    }
  }

  void give(int directory, const char* name, std::string_view path) {
    if (!matches(path)) return;
    if (!jail::is_printable_utf8(path)) return refuse(path, "name is not printable UTF-8");
    const UniqueFd file = open_inside(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat status{};
    if (!file.valid() || fstat(file.get(), &status) != 0) return refuse(path, "cannot be opened");
    if (!S_ISREG(status.st_mode)) return refuse(path, kind_name(status.st_mode));
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size > request_.file_bytes_max) return refuse(path, "larger than one output file may be");
    if (files_ >= request_.files_max || size > request_.total_bytes_max - bytes_) {
      truncated_ = true;
      return refuse(path, "more than all output files together may be");
    }
    ++files_;
    bytes_ += size;
    const int fds[] = {file.get()};
    if (jail::send_message(kChannelFd, jail::CollectedFile{path, size}, fds) != 0)
      truncated_ = true;
  }

  static const char* kind_name(mode_t mode) {
    if (S_ISLNK(mode)) return "symbolic link";
    if (S_ISFIFO(mode)) return "fifo";
    if (S_ISSOCK(mode)) return "socket";
    if (S_ISCHR(mode) || S_ISBLK(mode)) return "device";
    return "not a regular file";
  }

  // The guest chooses the names, its owner the patterns; neither may keep us busy for long.
  bool matches(std::string_view path) {
    bool any = request_.patterns.count() == 0;
    request_.patterns.for_each([&](std::string_view p) {
      if (any || steps_ > kMatchStepsMax) return;
      any = jail::matches_glob(p, path, &steps_);
    });
    truncated_ = truncated_ || steps_ > kMatchStepsMax;
    return any;
  }
  void refuse_matching(std::string_view path, const char* reason) {
    if (matches(path)) refuse(path, reason);
  }
  void refuse(std::string_view path, const char* reason) {
    if (++refused_ > request_.files_max) {
      truncated_ = true;
      return;
    }
    jail::send_message(kChannelFd, jail::RefusedFile{path, reason});
  }

  // Of all patterns with all files together: about a second.
  static constexpr std::uint64_t kMatchStepsMax = 50'000'000;

  const jail::Collect& request_;
  std::uint64_t steps_ = 0;
  char path_[jail::kGuestPathBytesMax + 2] = {};
  std::uint32_t files_ = 0;
  std::uint32_t refused_ = 0;
  std::uint64_t bytes_ = 0;
  bool truncated_ = false;
};

}  // namespace

// In the nested tiers modes are what keeps inputs from being written (lower.h).
static std::uint64_t file_mode(bool for_guest, bool executable) {
  if (mode() == Mode::kNested && !for_guest) return executable ? 0555 : 0444;
  return executable ? 0755 : 0644;
}

int put_file(const jail::PutFile& request, int content_fd) {
  if (!jail::is_safe_path(request.path)) return EINVAL;
  char name[jail::kGuestPathBytesMax + 1];
  std::string_view rest = request.path;
  const bool for_guest = rest.substr(0, 6) != "input/";
  UniqueFd directory(fcntl(kWorkspaceFd, F_DUPFD_CLOEXEC, 5L));
  bool top = true;
  for (std::size_t slash = 0; (slash = rest.find('/')) != std::string_view::npos; top = false) {
    __builtin_memcpy(name, rest.data(), slash);
    name[slash] = '\0';
    if (!top && mkdirat(directory.get(), name, 0755) == 0 && for_guest) {
      fchownat(directory.get(), name, guest_uid(), guest_gid(), AT_SYMLINK_NOFOLLOW);
    }
    directory = open_inside(directory.get(), name, O_PATH | O_DIRECTORY);
    if (!directory.valid()) return errno;
    rest = rest.substr(slash + 1);
  }
  if (top) return EINVAL;  // a file beside /workspace, not in it
  // A guest that ran before may have put anything there: a fifo must not make us wait.
  const UniqueFd file =
      open_inside(directory.get(), rest.data(),
                  O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY,
                  file_mode(for_guest, request.executable));
  if (!file.valid()) return errno;
  struct stat status{};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return EEXIST;
  if (for_guest && fchown(file.get(), guest_uid(), guest_gid()) != 0) return errno;
  return copy_all(content_fd, file.get());
}

void collect(const jail::Collect& request) {
  jail::CollectDone done;
  Collection collection(request);
  done.os_errno = collection.run();
  done.truncated = collection.truncated();
  jail::send_message(kChannelFd, done);
}

}  // namespace airlock::init
