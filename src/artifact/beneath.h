// Beneath: files and folders below a folder, and nothing else, whoever fills it.
//
// openat2(2) with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS: the kernel itself refuses
// every way out, also while names change. Errors name the path. Free functions; any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::artifact {

// O_CLOEXEC is added. `path` is relative; "" is the folder itself.
base::Result<base::UniqueFd> open_beneath(int folder_fd, const std::string& path, int flags,
                                          unsigned mode = 0);

// Opens a regular file to read; kInvalidArgument names what else it is, kNotFound a folder.
base::Result<base::UniqueFd> open_regular_beneath(int folder_fd, const std::string& path);

// Whether what is made is still there after a loss of power.
enum class Sync { kNone, kDurable };

// Makes the folders that are missing on the way and gives the last. "" is `folder_fd` itself.
base::Result<base::UniqueFd> make_folders_beneath(int folder_fd, const std::string& path,
                                                  Sync sync);

// "a/b/c" as "a/b" and "c".
struct SplitPath {
  std::string folder;
  std::string name;
};
SplitPath split_path(std::string_view path);

// A file that is not there yet: written under a temporary name next to its own, locked, and taken
// away by the destructor unless it was published.
class PendingFile {
 public:
  // `path` has passed check_relative_path; folders on the way are made.
  static base::Result<PendingFile> create(int folder_fd, const std::string& path,
                                          base::RandomSource& random, Sync sync);
  PendingFile(PendingFile&& other) noexcept = default;
  PendingFile& operator=(PendingFile&&) = delete;
  ~PendingFile();

  int fd() const { return file_.get(); }
  // Gives it its name, replacing a file that has it. kDurable: synced before and after.
  base::Status publish();

 private:
  PendingFile(base::UniqueFd folder, base::UniqueFd file, std::string temporary, std::string name,
              Sync sync);

  base::UniqueFd folder_;
  base::UniqueFd file_;
  std::string temporary_;
  std::string name_;
  Sync sync_;
};

// Calls `see` for each regular file below `path` with its path relative to `path`, in no order;
// an error of `see` ends it. Anything but files and folders is kInvalidArgument and named.
// Temporary names are left out, or, with kTemporary, are all that is seen.
enum class Seen { kFiles, kTemporary };
using SeeFile =
    std::function<base::Status(int folder_fd, const std::string& path, std::uint64_t size)>;
base::Status walk_beneath(int folder_fd, const std::string& path, Seen seen, const SeeFile& see);

}  // namespace airlock::artifact
