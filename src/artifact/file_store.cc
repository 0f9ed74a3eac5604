#include "artifact/file_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "artifact/beneath.h"
#include "artifact/control.h"
#include "artifact/digest.h"
#include "artifact/names.h"
#include "base/files.h"

namespace airlock::artifact {
namespace {

// The folder of a prefix: "a/b/" and "a/b" are "a/b"; below it everything is meant.
std::string folder_of(std::string_view prefix) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return std::string(prefix);
}

std::string without_slash(std::string_view root) {
  while (root.size() > 1 && root.ends_with('/')) root.remove_suffix(1);
  return std::string(root);
}

// Whether nobody writes the temporary file any more, and it is old enough.
bool is_abandoned(int fd, std::chrono::seconds age_min, const base::Clock& clock) {
  struct stat status{};
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 || ::fstat(fd, &status) != 0) return false;
  const auto now = std::chrono::system_clock::to_time_t(clock.wall_now());
  return now - status.st_mtime >= age_min.count();
}

}  // namespace

FileStore::FileStore(std::string root, base::UniqueFd fd, const base::Clock& clock,
                     base::RandomSource& random)
    : root_(std::move(root)), root_fd_(std::move(fd)), clock_(&clock), random_(&random) {}

base::Result<std::unique_ptr<FileStore>> FileStore::open(const std::string& root,
                                                         const base::Clock& clock,
                                                         base::RandomSource& random) {
  base::UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    base::Error error = base::errno_error("open the artifact folder " + quoted(root));
    error.hint = "make it, or take it out of storage.file_roots";
    return base::fail(std::move(error));
  }
  return std::make_unique<FileStore>(without_slash(root), std::move(fd), clock, random);
}

std::string FileStore::describe(std::string_view key) const {
  return "file://" + (root_ == "/" ? std::string() : root_) + "/" + std::string(key);
}

base::Result<std::vector<ObjectInfo>> FileStore::list(const std::string& prefix,
                                                      std::size_t objects_max,
                                                      const Control& control) {
  const std::string what = "list " + describe(prefix);
  const std::string folder = folder_of(prefix);
  if (!folder.empty()) AIRLOCK_TRY(check_relative_path(folder).with_context(what));
  std::vector<ObjectInfo> objects;
  const auto see = [&](int, const std::string& path, std::uint64_t size) -> base::Status {
    AIRLOCK_TRY(check_control(control, *clock_));
    if (objects.size() >= objects_max) {
      return base::fail(base::ErrorCode::kLimitExceeded,
                        "there are more than " + std::to_string(objects_max) + " files");
    }
    objects.push_back({folder.empty() ? path : folder + "/" + path, base::ByteCount(size)});
    return {};
  };
  AIRLOCK_TRY(walk_beneath(root_fd_.get(), folder, Seen::kFiles, see).with_context(what));
  std::ranges::sort(objects, {}, &ObjectInfo::key);
  return objects;
}

base::Result<ContentDigest> FileStore::get(const std::string& key, int fd, base::ByteCount size_max,
                                           const Control& control) {
  const std::string what = "get " + describe(key);
  AIRLOCK_TRY(check_relative_path(key).with_context(what));
  AIRLOCK_ASSIGN(const base::UniqueFd file,
                 open_regular_beneath(root_fd_.get(), key).with_context(what));
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return base::fail_errno(what);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > size_max.count()) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      what + ": the file (" + base::format_byte_count(base::ByteCount(size)) +
                          ") is larger than the limit of " + base::format_byte_count(size_max));
  }
  Hasher hasher(Hasher::Kind::kSha256);
  std::uint64_t done = 0;
  const auto take = [&](std::string_view piece) -> base::Status {
    AIRLOCK_TRY(base::write_all(fd, piece, "what was read"));
    hasher.update(piece);
    done += piece.size();
    if (control.on_bytes) control.on_bytes(done);
    return {};
  };
  AIRLOCK_TRY(read_range({.fd = file.get(), .offset = 0, .size = size}, control, *clock_, take)
                  .with_context(what));
  return ContentDigest{.size = base::ByteCount(size), .sha256 = to_hex(hasher.finish())};
}

base::Result<ContentDigest> FileStore::put(const Upload& upload, const Control& control) {
  const std::string what = "put " + describe(upload.key);
  AIRLOCK_TRY(check_relative_path(upload.key).with_context(what));
  AIRLOCK_ASSIGN(
      PendingFile file,
      PendingFile::create(root_fd_.get(), upload.key, *random_, Sync::kDurable).with_context(what));
  Hasher hasher(Hasher::Kind::kSha256);
  std::uint64_t done = 0;
  const auto take = [&](std::string_view piece) -> base::Status {
    AIRLOCK_TRY(base::write_all(file.fd(), piece, "the file"));
    hasher.update(piece);
    done += piece.size();
    if (control.on_bytes) control.on_bytes(done);
    return {};
  };
  const FileRange range{.fd = upload.fd, .offset = 0, .size = upload.size.count()};
  AIRLOCK_TRY(read_range(range, control, *clock_, take).with_context(what));
  AIRLOCK_TRY(file.publish().with_context(what));
  return ContentDigest{.size = upload.size, .sha256 = to_hex(hasher.finish())};
}

base::Result<std::size_t> FileStore::sweep(const SweepRequest& request, const Control& control) {
  const std::string what = "sweep " + describe(request.prefix);
  const std::string folder = folder_of(request.prefix);
  if (!folder.empty()) AIRLOCK_TRY(check_relative_path(folder).with_context(what));
  // A temporary name does not tell whose it is: what lies beside one of the keys is meant.
  std::set<std::string> folders;
  for (const std::string& key : request.keys) folders.insert(split_path(key).folder);
  std::size_t swept = 0;
  const auto see = [&](int folder_fd, const std::string& path, std::uint64_t) -> base::Status {
    AIRLOCK_TRY(check_control(control, *clock_));
    const std::string key = folder.empty() ? path : folder + "/" + path;
    const SplitPath split = split_path(key);
    if (!request.keys.empty() && !folders.contains(split.folder)) return {};
    const auto file = open_beneath(folder_fd, split.name, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    if (!file || !is_abandoned(file->get(), request.age_min, *clock_)) return {};
    swept += ::unlinkat(folder_fd, split.name.c_str(), 0) == 0;
    return {};
  };
  auto walked = walk_beneath(root_fd_.get(), folder, Seen::kTemporary, see);
  if (!walked && walked.error().code != base::ErrorCode::kNotFound) {
    return base::fail(std::move(walked).with_context(what).error());
  }
  return swept;
}

base::Result<RootedPath> find_root(std::string_view path, const std::vector<std::string>& roots) {
  RootedPath best;
  for (const std::string& listed : roots) {
    const std::string root = without_slash(listed);
    const std::string below = root == "/" ? root : root + "/";
    const bool holds = path == root || path.starts_with(below);
    if (!holds || root.size() < best.root.size() || !root.starts_with('/')) continue;
    best = {root, std::string(path.substr(std::min(below.size(), path.size())))};
  }
  if (!best.root.empty()) return best;
  std::string allowed;
  for (const std::string& root : roots) allowed += (allowed.empty() ? "" : ", ") + quoted(root);
  return base::fail(
      base::ErrorCode::kPermissionDenied,
      quoted(path) + " is not below a folder that artifacts may be in",
      roots.empty() ? "storage.file_roots names none" : "storage.file_roots names " + allowed);
}

}  // namespace airlock::artifact
