#include "runner/jobs/job_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace airlock::runner {
namespace {

namespace fs = std::filesystem;
using base::UniqueFd;

base::Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return base::fail(base::errno_error("make " + folder.string(), error.value()));
  return {};
}

base::Result<UniqueFd> open_folder(const fs::path& folder) {
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return base::fail_errno("open " + folder.filename().string());
  return fd;
}

// A flag that refuses links and whatever leads out, for every part of the path.
base::Result<UniqueFd> open_inside(int folder_fd, const std::string& path, std::uint64_t flags,
                                   std::uint64_t mode) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  // Why safe: the kernel reads `how` and the string, and writes nothing.
  const long fd = ::syscall(SYS_openat2, folder_fd, path.c_str(), &how, sizeof how);
  if (fd < 0) return base::fail_errno("open " + path);
  return UniqueFd(static_cast<int>(fd));
}

// Folders one by one, so that none of them is somebody's link.
base::Status make_parents(int folder_fd, const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdirat(folder_fd, part.c_str(), 0700) != 0 && errno != EEXIST) {
      return base::fail_errno("make " + part);
    }
    AIRLOCK_TRY(open_inside(folder_fd, part, O_RDONLY | O_DIRECTORY, 0));
  }
  return {};
}

base::Status copy_piece(int from_fd, int to_fd, off_t at, off_t stop) {
  if (::lseek(to_fd, at, SEEK_SET) < 0) return base::fail_errno("seek");
  while (at < stop) {
    // Not copy_file_range(2): between file systems of two kinds it refuses.
    const ssize_t count = ::sendfile(to_fd, from_fd, &at, static_cast<std::size_t>(stop - at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("copy");
    if (count == 0) return base::fail(base::ErrorCode::kIo, "it became shorter meanwhile");
  }
  return {};
}

base::Status sync_parent(const fs::path& file) {
  AIRLOCK_ASSIGN(const UniqueFd folder, open_folder(file.parent_path()));
  if (::fsync(folder.get()) != 0) return base::fail_errno("sync " + file.parent_path().string());
  return {};
}

}  // namespace

base::Status JobFiles::create(const std::string& id) const {
  AIRLOCK_TRY(make_folder(of(id) / "logs"));
  AIRLOCK_TRY(make_folder(inputs(id)));
  return make_folder(outputs(id));
}

base::Status JobFiles::remove(const std::string& id) const {
  std::error_code error;
  fs::remove_all(of(id), error);
  if (error) return base::fail(base::errno_error("remove the files of " + id, error.value()));
  return {};
}

std::vector<std::string> JobFiles::ids() const {
  std::vector<std::string> ids;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_, error)) {
    ids.push_back(entry.path().filename().string());
  }
  return ids;
}

base::Result<UniqueFd> open_log(const fs::path& file) {
  UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return base::fail_errno("open " + file.string());
  return fd;
}

base::Result<UniqueFd> open_beneath(const fs::path& directory, const std::string& path) {
  AIRLOCK_ASSIGN(const UniqueFd folder, open_folder(directory));
  // O_NONBLOCK: a pipe that somebody left there would be waited for.
  AIRLOCK_ASSIGN(UniqueFd fd, open_inside(folder.get(), path, O_RDONLY | O_NONBLOCK, 0));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return base::fail_errno("look at " + path);
  if (!S_ISREG(status.st_mode)) {
    return base::fail(base::ErrorCode::kNotFound, path + " is no regular file");
  }
  return fd;
}

base::Result<base::ByteCount> size_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return base::fail_errno("look at a file");
  return base::ByteCount(static_cast<std::uint64_t>(status.st_size));
}

base::Result<UniqueFd> memory_file(std::string_view text) {
  // Why safe: a new descriptor with one owner; the bytes are those of a text.
  UniqueFd fd(::memfd_create("airlock-file", MFD_CLOEXEC));
  if (!fd.valid()) return base::fail_errno("make a file in memory");
  while (!text.empty()) {
    const ssize_t count = ::write(fd.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("write a file in memory");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return fd;
}

base::Status copy_beneath(const fs::path& directory, const std::string& path, int from_fd,
                          base::ByteCount size) {
  AIRLOCK_ASSIGN(const UniqueFd folder, open_folder(directory));
  AIRLOCK_TRY(make_parents(folder.get(), path));
  AIRLOCK_ASSIGN(const UniqueFd to,
                 open_inside(folder.get(), path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  const auto end = static_cast<off_t>(size.count());
  if (::ftruncate(to.get(), end) != 0) return base::fail_errno("make " + path);
  for (off_t at = 0; at < end;) {
    const off_t data = ::lseek(from_fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only a hole is left
    if (data < 0) return base::fail_errno("read " + path);
    const off_t hole = ::lseek(from_fd, data, SEEK_HOLE);
    if (hole < 0) return base::fail_errno("read " + path);
    const off_t stop = std::min(hole, end);
    if (data < stop) AIRLOCK_TRY(copy_piece(from_fd, to.get(), data, stop).with_context(path));
    at = std::max(stop, data + 1);
  }
  if (::fsync(to.get()) != 0) return base::fail_errno("sync " + path);
  return {};
}

base::Status write_whole(const fs::path& file, std::string_view text) {
  const fs::path passing = file.string() + ".new";
  const UniqueFd fd(
      ::open(passing.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return base::fail_errno("open " + passing.string());
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t count = ::write(fd.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("write " + passing.string());
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(fd.get()) != 0) return base::fail_errno("sync " + passing.string());
  if (::rename(passing.c_str(), file.c_str()) != 0) {
    return base::fail_errno("rename " + passing.string());
  }
  return sync_parent(file);
}

base::Result<std::string> read_whole(const fs::path& file, std::size_t bytes_max) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid() && errno == ENOENT) {
    return base::fail(base::ErrorCode::kNotFound, file.filename().string() + " is not there");
  }
  if (!fd.valid()) return base::fail_errno("open " + file.string());
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return base::fail_errno("look at " + file.string());
  if (static_cast<std::uint64_t>(status.st_size) > bytes_max) {
    return base::fail(base::ErrorCode::kLimitExceeded, file.string() + " is too large");
  }
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    // Why safe: at most what is left of `text` is written to it.
    const ssize_t count =
        ::pread(fd.get(), text.data() + filled, text.size() - filled, static_cast<off_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("read " + file.string());
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return text;
}

}  // namespace airlock::runner
