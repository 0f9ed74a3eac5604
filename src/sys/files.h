// Small file operations by directory descriptor: read a kernel file, write a kernel file.
//
// Guarantees: no path is followed outside what the caller names; values of /proc and cgroup files
// are bounded (kKernelFileBytesMax). Allocation-free variants are safe between clone and exec.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::sys {

inline constexpr std::size_t kKernelFileBytesMax = 64 * 1024;

// Opens `path` relative to `dir_fd` (AT_FDCWD allowed) with O_CLOEXEC added.
base::Result<base::UniqueFd> open_at(int dir_fd, const char* path, int flags, int mode = 0);

// The whole content of a small kernel file.
base::Result<std::string> read_file_at(int dir_fd, const char* path);

// One write(2) of `value`. Returns 0 or an errno; does not allocate.
int write_file_at(int dir_fd, const char* path, std::string_view value);

// A decimal number at the start of the file; nullopt if it cannot be read ("max" included).
std::optional<std::uint64_t> read_number_at(int dir_fd, const char* path);

// The number behind `key ` in a flat-keyed file such as memory.events.
std::optional<std::uint64_t> find_keyed_number(std::string_view text, std::string_view key);

// A directory to be listed; an invalid one has no entries.
class Directory {
 public:
  // With `follow` 0 instead of O_NOFOLLOW `path` may end in a symbolic link.
  Directory(int parent_fd, const char* path, int follow = O_NOFOLLOW);
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  int fd() const { return dirfd(stream_); }
  bool valid() const { return stream_ != nullptr; }
  // The next entry that is neither "." nor "..".
  const char* next();
  // Of the entry that next() gave last; where the file system does not tell, true for all.
  bool may_be_directory() const { return may_be_directory_; }

 private:
  DIR* stream_ = nullptr;
  bool may_be_directory_ = false;
};

// Whether a folder holds no other folder than `kept`, told by its link count, which costs a
// thirteenth of a listing; false where the file system does not count them (btrfs, overlayfs).
bool holds_no_folder_but(int parent_fd, const char* path, const std::string& kept);

// The folder `name` with a lock (`operation` as of flock(2)) and still there under that name;
// otherwise invalid.
base::UniqueFd hold_directory(int parent_fd, const char* name, int operation);

// Deletes everything below `dir_fd` without following a link and at any depth; the directory stays.
// Returns 0 or the first errno.
int remove_tree_below(int dir_fd);

// Bytes in use below `dir_fd` (st_blocks), entries counted too; stops at `entries_max`.
struct TreeUsage {
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
};
TreeUsage measure_tree(int dir_fd, std::uint64_t entries_max);

}  // namespace airlock::sys
