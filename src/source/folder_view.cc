#include "source/folder_view.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <memory>
#include <utility>

#include "receipt/digest.h"

namespace airlock::source {
namespace {

using base::UniqueFd;

UniqueFd open_below(int folder_fd, std::string_view path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  // Why safe: the kernel reads the path and the struct of the size that is given.
  return UniqueFd(static_cast<int>(
      ::syscall(SYS_openat2, folder_fd, std::string(path).c_str(), &how, sizeof how)));
}

EntryKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return EntryKind::kFile;
  if (S_ISDIR(mode)) return EntryKind::kFolder;
  return S_ISLNK(mode) ? EntryKind::kLink : EntryKind::kOther;
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

class TreeReader {
 public:
  base::Status read(int folder_fd, const std::string& prefix, std::size_t depth) {
    if (depth > kTreeDepthMax) return limit("deeper than " + std::to_string(kTreeDepthMax));
    const int copy = ::openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, CloseFolder> folder(copy < 0 ? nullptr : ::fdopendir(copy));
    if (folder == nullptr) return base::fail_errno("list /" + prefix);
    while (const dirent* const entry = ::readdir(folder.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (entries_.size() >= kTreeEntriesMax) {
        return limit("more than " + std::to_string(kTreeEntriesMax) + " entries");
      }
      AIRLOCK_TRY(add(folder_fd, name, prefix, depth));
    }
    return {};
  }

  std::vector<TreeEntry> take() {
    std::ranges::sort(entries_, {}, &TreeEntry::path);
    return std::move(entries_);
  }

 private:
  static std::unexpected<base::Error> limit(const std::string& what) {
    return base::fail(base::ErrorCode::kLimitExceeded, "the repository has " + what);
  }

  base::Status add(int folder_fd, const std::string& name, const std::string& prefix,
                   std::size_t depth) {
    struct stat status{};
    if (::fstatat(folder_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      return base::fail_errno("look at " + prefix + name);
    }
    TreeEntry entry{.path = prefix + name,
                    .kind = kind_of(status.st_mode),
                    .executable = (status.st_mode & 0100) != 0,
                    .digest = {}};
    switch (entry.kind) {
      case EntryKind::kOther:
        return base::fail(base::ErrorCode::kInvalidArgument,
                          entry.path + " is neither a file nor a folder nor a link");
      case EntryKind::kLink: {
        AIRLOCK_TRY(digest_link(folder_fd, name, entry));
        break;
      }
      case EntryKind::kFile: {
        AIRLOCK_TRY(digest_file(folder_fd, name, entry));
        break;
      }
      case EntryKind::kFolder: break;
    }
    const bool is_folder = entry.kind == EntryKind::kFolder;
    const std::string below = entry.path + "/";
    entries_.push_back(std::move(entry));
    if (!is_folder) return {};
    const UniqueFd folder = open_below(folder_fd, name, O_RDONLY | O_DIRECTORY);
    if (!folder.valid()) return base::fail_errno("open " + below);
    return read(folder.get(), below, depth + 1);
  }

  static base::Status digest_link(int folder_fd, const std::string& name, TreeEntry& entry) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlinkat(folder_fd, name.c_str(), target.data(), target.size());
    if (size < 0) return base::fail_errno("read the link " + entry.path);
    entry.executable = false;
    entry.digest = receipt::sha256_hex({target.data(), static_cast<std::size_t>(size)});
    return {};
  }

  base::Status digest_file(int folder_fd, const std::string& name, TreeEntry& entry) {
    const UniqueFd file = open_below(folder_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file.valid()) return base::fail_errno("open " + entry.path);
    AIRLOCK_ASSIGN(
        const receipt::FileDigest digest,
        receipt::digest_file(file.get(), kTreeBytesMax.count() - bytes_).with_context(entry.path));
    bytes_ += digest.bytes;
    entry.digest = digest.sha256;
    return {};
  }

  std::vector<TreeEntry> entries_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

base::Result<FolderView> FolderView::open(const std::string& folder) {
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return base::fail_errno("open " + folder);
  return FolderView(std::move(fd));
}

base::Result<FolderView> FolderView::below(std::string_view path) const {
  UniqueFd fd = open_below(folder_.get(), path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
  if (!fd.valid()) return base::fail_errno("open the folder " + std::string(path));
  return FolderView(std::move(fd));
}

base::Result<RepositoryEntry> FolderView::look(std::string_view path) const {
  const UniqueFd fd = open_below(folder_.get(), path, O_PATH | O_NOFOLLOW);
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
  const UniqueFd fd = open_below(folder_.get(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd.valid()) return base::fail_errno("open " + std::string(path));
  std::string text;
  std::array<char, 16 * 1024> piece{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), piece.data(), piece.size());
    if (count < 0) return base::fail_errno("read " + std::string(path));
    if (count == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
    if (text.size() > bytes_max.count()) {
      return base::fail(base::ErrorCode::kLimitExceeded, std::string(path) + " is larger than " +
                                                             base::format_byte_count(bytes_max));
    }
  }
}

base::Result<std::vector<TreeEntry>> FolderView::digest_tree() const {
  TreeReader reader;
  AIRLOCK_TRY(reader.read(folder_.get(), "", 1));
  return reader.take();
}

}  // namespace airlock::source
