#include "artifact/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "artifact/file_store.h"
#include "artifact/names.h"
#include "base/files.h"

namespace airlock::artifact {
namespace {

constexpr std::string_view kFolder = "a folder";
constexpr unsigned kFolderMode = 0755;
constexpr unsigned kFileMode = 0644;
constexpr int kCreateTries = 8;
constexpr std::size_t kRandomBytes = 8;
constexpr std::size_t kWalkFoldersMax = 100'000;

// A folder is no file, but what is meant may be below it.
std::unexpected<base::Error> refuse(const std::string& path, std::string_view what) {
  const auto code =
      what == kFolder ? base::ErrorCode::kNotFound : base::ErrorCode::kInvalidArgument;
  return base::fail(code, quoted(path) + " is " + std::string(what) +
                              ": only regular files and folders are taken");
}

std::string_view kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFLNK: return "a symbolic link";
    case S_IFIFO: return "a pipe";
    case S_IFSOCK: return "a socket";
    case S_IFBLK:
    case S_IFCHR: return "a device";
    case S_IFDIR: return kFolder;
    default: return "no regular file";
  }
}

base::Error open_error(const std::string& path, int error) {
  base::Error made = base::errno_error("open " + quoted(path), error);
  if (error == ENOENT || error == ENOTDIR) made.code = base::ErrorCode::kNotFound;
  if (error == EACCES || error == EPERM) made.code = base::ErrorCode::kPermissionDenied;
  if (error == ELOOP) {
    made.code = base::ErrorCode::kInvalidArgument;
    made.message = quoted(path) + " is, or goes through, a symbolic link: links are not followed";
  }
  if (error == EXDEV) {
    made.code = base::ErrorCode::kPermissionDenied;
    made.message = quoted(path) + " leads out of its folder";
  }
  return made;
}

bool is_temporary(std::string_view name) { return name.starts_with(kPartPrefix); }

struct CloseDirectory {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

}  // namespace

base::Result<base::UniqueFd> open_beneath(int folder_fd, const std::string& path, int flags,
                                          unsigned mode) {
  base::UniqueFd fd = base::open_beneath(folder_fd, path.empty() ? "." : path,
                                         static_cast<std::uint64_t>(flags), mode);
  if (!fd.valid()) return base::fail(open_error(path, errno));
  return fd;
}

base::Result<base::UniqueFd> open_regular_beneath(int folder_fd, const std::string& path) {
  // O_PATH first: opening a device or a pipe to read can do something, or wait.
  AIRLOCK_ASSIGN(const base::UniqueFd found, open_beneath(folder_fd, path, O_PATH | O_NOFOLLOW));
  struct stat status{};
  if (::fstat(found.get(), &status) != 0) return base::fail_errno("look at " + quoted(path));
  if (!S_ISREG(status.st_mode)) return refuse(path, kind_of(status.st_mode));
  AIRLOCK_ASSIGN(base::UniqueFd file,
                 open_beneath(folder_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (::fstat(file.get(), &status) != 0) return base::fail_errno("look at " + quoted(path));
  if (!S_ISREG(status.st_mode)) return refuse(path, kind_of(status.st_mode));
  return file;
}

SplitPath split_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {{}, std::string(path)};
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

base::Result<base::UniqueFd> make_folders_beneath(int folder_fd, const std::string& path,
                                                  Sync sync) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY;
  AIRLOCK_ASSIGN(base::UniqueFd at, open_beneath(folder_fd, "", kFlags));
  for (std::size_t start = 0; !path.empty() && start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string part = path.substr(start, end - start);
    const bool is_new = ::mkdirat(at.get(), part.c_str(), kFolderMode) == 0;
    if (!is_new && errno != EEXIST) {
      return base::fail_errno("make the folder " + quoted(path.substr(0, end)));
    }
    if (is_new && sync == Sync::kDurable && ::fsync(at.get()) != 0) {
      return base::fail_errno("sync the folder of " + quoted(path.substr(0, end)));
    }
    auto next = open_beneath(at.get(), part, kFlags);
    if (!next && next.error().os_errno == ENOTDIR) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        quoted(path.substr(0, end)) + " is a file where a folder is needed");
    }
    AIRLOCK_ASSIGN(at, std::move(next));
    start = end + 1;
  }
  return at;
}

PendingFile::PendingFile(base::UniqueFd folder, base::UniqueFd file, std::string temporary,
                         std::string name, Sync sync)
    : folder_(std::move(folder)),
      file_(std::move(file)),
      temporary_(std::move(temporary)),
      name_(std::move(name)),
      sync_(sync) {}

PendingFile::~PendingFile() {
  if (folder_.valid() && !temporary_.empty()) ::unlinkat(folder_.get(), temporary_.c_str(), 0);
}

base::Result<PendingFile> PendingFile::create(int folder_fd, const std::string& path,
                                              base::RandomSource& random, Sync sync) {
  const SplitPath split = split_path(path);
  AIRLOCK_ASSIGN(base::UniqueFd folder, make_folders_beneath(folder_fd, split.folder, sync));
  for (int tries = 0; tries < kCreateTries; ++tries) {
    std::string temporary = std::string(kPartPrefix) + base::make_hex(kRandomBytes, random);
    AIRLOCK_ASSIGN(base::UniqueFd file,
                   open_beneath(folder.get(), temporary, O_RDWR | O_CREAT | O_EXCL, kFileMode)
                       .with_context("write " + quoted(path)));
    // A sweep may come between the two calls and take the file for one of the dead.
    struct stat status{};
    const bool is_ours = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 &&
                         ::fstat(file.get(), &status) == 0 && status.st_nlink > 0;
    if (is_ours) {
      return PendingFile(std::move(folder), std::move(file), std::move(temporary), split.name,
                         sync);
    }
  }
  return base::fail(base::ErrorCode::kIo, "no temporary file could be kept beside " + quoted(path));
}

base::Status PendingFile::publish() {
  if (sync_ == Sync::kDurable && ::fsync(file_.get()) != 0) {
    return base::fail_errno("sync " + quoted(name_));
  }
  if (::renameat(folder_.get(), temporary_.c_str(), folder_.get(), name_.c_str()) != 0) {
    if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        quoted(name_) + " is a folder where a file is needed");
    }
    return base::fail_errno("name the file " + quoted(name_));
  }
  temporary_.clear();
  if (sync_ == Sync::kDurable && ::fsync(folder_.get()) != 0) {
    return base::fail_errno("sync the folder of " + quoted(name_));
  }
  return {};
}

namespace {

std::unexpected<base::Error> too_many_folders() {
  return base::fail(base::ErrorCode::kLimitExceeded, "there are more than 100,000 folders");
}

// One folder of a walk; folders in it are added to `pending`.
base::Status see_folder(int folder_fd, const std::string& below, Seen seen, const SeeFile& see,
                        std::vector<std::string>& pending) {
  AIRLOCK_ASSIGN(base::UniqueFd fd, open_beneath(folder_fd, below, O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, CloseDirectory> stream(::fdopendir(fd.get()));
  if (!stream) return base::fail_errno("list " + quoted(below));
  const int here = fd.release();  // the stream's now
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    std::string path = below;
    if (!path.empty()) path += '/';
    path += name;
    struct stat status{};
    if (::fstatat(here, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // gone meanwhile
      return base::fail_errno("look at " + quoted(path));
    }
    if (S_ISDIR(status.st_mode)) {
      if (pending.size() >= kWalkFoldersMax) return too_many_folders();
      pending.push_back(path);
    } else if (is_temporary(name) != (seen == Seen::kTemporary)) {
      continue;
    } else if (S_ISREG(status.st_mode)) {
      AIRLOCK_TRY(see(here, path, static_cast<std::uint64_t>(status.st_size)));
    } else {
      return refuse(path, kind_of(status.st_mode));
    }
  }
  return errno == 0 ? base::Status() : base::fail_errno("list " + quoted(below));
}

}  // namespace

base::Status walk_beneath(int folder_fd, const std::string& path, Seen seen, const SeeFile& see) {
  AIRLOCK_ASSIGN(const base::UniqueFd start, open_beneath(folder_fd, path, O_RDONLY | O_DIRECTORY));
  std::vector<std::string> pending = {""};
  for (std::size_t folders = 0; !pending.empty(); ++folders) {
    if (folders > kWalkFoldersMax) return too_many_folders();
    const std::string below = std::move(pending.back());
    pending.pop_back();
    AIRLOCK_TRY(see_folder(start.get(), below, seen, see, pending));
  }
  return {};
}

}  // namespace airlock::artifact
