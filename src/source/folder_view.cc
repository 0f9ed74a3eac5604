#include "source/folder_view.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "base/files.h"

namespace airlock::source {
namespace {

using base::UniqueFd;

EntryKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return EntryKind::kFile;
  if (S_ISDIR(mode)) return EntryKind::kFolder;
  return S_ISLNK(mode) ? EntryKind::kLink : EntryKind::kOther;
}

}  // namespace

base::Result<FolderView> FolderView::open(const std::string& folder) {
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return base::fail_errno("open " + folder);
  return FolderView(std::move(fd));
}

base::Result<RepositoryEntry> FolderView::look(std::string_view path) const {
  const UniqueFd fd = base::open_beneath(folder_.get(), std::string(path), O_PATH | O_NOFOLLOW);
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
    base::Error error = base::errno_error(path);
    const bool is_missing = error.os_errno == ENOENT || error.os_errno == ENOTDIR;
    if (is_missing) error.code = base::ErrorCode::kNotFound;
    return base::fail(std::move(error));
  }
  return RepositoryEntry{.path = std::string(path),
                         .kind = kind_of(status.st_mode),
                         .size = base::ByteCount(static_cast<std::uint64_t>(status.st_size)),
                         .executable = (status.st_mode & 0100) != 0};
}

base::Result<std::string> FolderView::read(std::string_view path, base::ByteCount bytes_max) const {
  AIRLOCK_ASSIGN(const RepositoryEntry entry, look(path));
  if (entry.kind != EntryKind::kFile) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      std::string(path) + " is not a regular file");
  }
  const UniqueFd fd =
      base::open_beneath(folder_.get(), std::string(path), O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd.valid()) return base::fail_errno("open " + std::string(path));
  return base::read_to_end(fd.get(), bytes_max.count(), path);
}

}  // namespace airlock::source
