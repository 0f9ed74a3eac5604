#include "base/files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/units.h"

namespace airlock::base {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{64} * 1024;

}  // namespace

Result<UniqueFd> open_regular(const std::string& path) {
  // O_NONBLOCK keeps a fifo from blocking the open, O_NOCTTY a terminal from becoming ours.
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return fail_errno("open " + path);
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kInvalidArgument, path + " is not a regular file");
  }
  return file;
}

Result<std::string> read_to_end(int fd, std::size_t bytes_max, std::string_view name) {
  std::string text;
  std::string piece(kPieceBytes, '\0');
  while (true) {
    // Why safe: at most piece.size() bytes are written to it.
    const ssize_t count = ::read(fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("read " + std::string(name));
    if (count == 0) return text;
    if (static_cast<std::size_t>(count) > bytes_max - text.size()) {
      return fail(ErrorCode::kLimitExceeded,
                  std::string(name) + " is larger than " + format_byte_count(ByteCount(bytes_max)));
    }
    text.append(piece, 0, static_cast<std::size_t>(count));
  }
}

Result<std::string> read_regular(const std::string& path, std::size_t bytes_max) {
  AIRLOCK_ASSIGN(const UniqueFd file, open_regular(path));
  return read_to_end(file.get(), bytes_max, path);
}

bool is_private(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && (status.st_mode & 077) == 0;
}

Status write_all(int fd, std::string_view bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("write " + std::string(name));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

UniqueFd open_beneath(int folder_fd, const std::string& path, std::uint64_t flags,
                      std::uint64_t mode) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  while (true) {
    // Why safe: the kernel reads the path and the struct of the size that is given.
    const long fd = ::syscall(SYS_openat2, folder_fd, path.c_str(), &how, sizeof how);
    // EAGAIN: names changed while the kernel looked.
    if (fd < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    return UniqueFd(static_cast<int>(fd));
  }
}

}  // namespace airlock::base
