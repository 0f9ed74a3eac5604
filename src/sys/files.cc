#include "sys/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <charconv>
#include <memory>
#include <vector>

namespace airlock::sys {
namespace {

using base::UniqueFd;

// For its owner, who may have taken the permission away. Never through a link, whatever takes the
// place of the directory meanwhile.
void make_accessible(int parent_fd, const char* name) {
  const UniqueFd fd(openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.valid()) chmod(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), 0700);
}

// Empties `name` below `top_fd` into `top_fd` itself: its directories are moved up, so that the
// depth a guest chose never becomes our recursion or our path length.
int flatten_directory(int top_fd, const char* name, std::uint64_t* serial) {
  make_accessible(top_fd, name);
  Directory directory(top_fd, name);
  if (!directory.valid()) return errno;
  while (const char* entry = directory.next()) {
    if (unlinkat(directory.fd(), entry, 0) == 0) continue;
    if (unlinkat(directory.fd(), entry, AT_REMOVEDIR) == 0) continue;
    make_accessible(directory.fd(), entry);  // a directory is moved only if it is writable
    const std::string moved = ".airlock-" + std::to_string((*serial)++);
    if (renameat(directory.fd(), entry, top_fd, moved.c_str()) != 0) return errno;
  }
  return unlinkat(top_fd, name, AT_REMOVEDIR) == 0 ? 0 : errno;
}

}  // namespace

base::Result<UniqueFd> open_at(int dir_fd, const char* path, int flags, int mode) {
  UniqueFd fd(openat(dir_fd, path, flags | O_CLOEXEC, mode));
  if (!fd.valid()) return base::fail_errno(std::string("open ") + path);
  return fd;
}

base::Result<std::string> read_file_at(int dir_fd, const char* path) {
  AIRLOCK_ASSIGN(const UniqueFd fd, open_at(dir_fd, path, O_RDONLY));
  std::string text;
  char chunk[4096];
  while (text.size() < kKernelFileBytesMax) {
    const ssize_t count = read(fd.get(), chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno(std::string("read ") + path);
    if (count == 0) break;
    text.append(chunk, static_cast<std::size_t>(count));
  }
  return text;
}

int write_file_at(int dir_fd, const char* path, std::string_view value) {
  const int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t count = write(fd, value.data(), value.size());
  const int failure = count == static_cast<ssize_t>(value.size()) ? 0 : (count < 0 ? errno : EIO);
  close(fd);
  return failure;
}

std::optional<std::uint64_t> read_number_at(int dir_fd, const char* path) {
  const int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  char text[32];
  const ssize_t count = read(fd, text, sizeof text);
  close(fd);
  std::uint64_t value = 0;
  if (count <= 0) return std::nullopt;
  if (std::from_chars(text, text + count, value).ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> find_keyed_number(std::string_view text, std::string_view key) {
  std::size_t start = 0;
  while (start < text.size()) {
    std::size_t end = text.find('\n', start);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view line = text.substr(start, end - start);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      std::uint64_t value = 0;
      const char* digits = line.data() + key.size() + 1;
      if (std::from_chars(digits, line.data() + line.size(), value).ec == std::errc()) return value;
    }
    start = end + 1;
  }
  return std::nullopt;
}

Directory::Directory(int parent_fd, const char* path, int follow) {
  const int number = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
  if (number < 0) return;
  stream_ = fdopendir(number);
  if (stream_ == nullptr) close(number);
}

Directory::~Directory() {
  if (stream_ != nullptr) closedir(stream_);
}

const char* Directory::next() {
  while (const dirent* entry = stream_ != nullptr ? readdir(stream_) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    may_be_directory_ = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
    return entry->d_name;
  }
  return nullptr;
}

bool holds_no_folder_but(int parent_fd, const char* path, const std::string& kept) {
  constexpr nlink_t kNone = 2;  // "." and the name in the folder above
  struct stat status{};
  if (fstatat(parent_fd, path, &status, 0) != 0 || status.st_nlink < kNone) return false;
  if (status.st_nlink == kNone) return true;
  const std::string own = std::string(path) + "/" + kept;
  return status.st_nlink == kNone + 1 && !kept.empty() &&
         faccessat(parent_fd, own.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

UniqueFd hold_directory(int parent_fd, const char* name, int operation) {
  UniqueFd fd(openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat locked{};
  struct stat named{};
  if (!fd.valid() || flock(fd.get(), operation) != 0 || fstat(fd.get(), &locked) != 0 ||
      fstatat(parent_fd, name, &named, AT_SYMLINK_NOFOLLOW) != 0 || locked.st_ino != named.st_ino) {
    return {};
  }
  return fd;
}

int remove_tree_below(int dir_fd) {
  std::uint64_t serial = 0;
  for (bool emptied = false; !emptied;) {
    emptied = true;
    Directory top(dir_fd, ".");
    if (!top.valid()) return errno;
    while (const char* entry = top.next()) {
      if (unlinkat(dir_fd, entry, 0) == 0) continue;
      emptied = false;
      const std::string name = entry;
      if (const int failure = flatten_directory(dir_fd, name.c_str(), &serial); failure != 0) {
        return failure;
      }
    }
  }
  return 0;
}

TreeUsage measure_tree(int dir_fd, std::uint64_t entries_max) {
  constexpr std::size_t kDepthMax = 128;  // one descriptor each; what is deeper counts as too much
  TreeUsage usage;
  std::vector<std::unique_ptr<Directory>> open_directories;
  open_directories.push_back(std::make_unique<Directory>(dir_fd, "."));
  while (!open_directories.empty()) {
    Directory& directory = *open_directories.back();
    const char* entry = directory.valid() ? directory.next() : nullptr;
    if (entry == nullptr) {
      open_directories.pop_back();
      continue;
    }
    struct stat status{};
    if (fstatat(directory.fd(), entry, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    usage.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    if (open_directories.size() > kDepthMax) usage.entries = entries_max;
    if (++usage.entries > entries_max) return usage;
    if (!S_ISDIR(status.st_mode)) continue;
    open_directories.push_back(std::make_unique<Directory>(directory.fd(), entry));
  }
  return usage;
}

}  // namespace airlock::sys
