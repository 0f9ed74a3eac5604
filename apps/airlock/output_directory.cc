#include "apps/airlock/output_directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace airlock::apps {
namespace {

inline constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
inline constexpr std::uint64_t kCopyChunkBytes = 1 << 20;

base::Status make_folders(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) {
      return base::fail_errno("make the folder \"" + part + "\"");
    }
    if (end == std::string::npos) return {};
  }
}

// The folder that is to hold the file, made where it is missing.
base::Result<base::UniqueFd> open_parent(int root_fd, std::string_view& path) {
  base::UniqueFd folder(::fcntl(root_fd, F_DUPFD_CLOEXEC, 3));
  if (!folder.valid()) return base::fail_errno("duplicate a descriptor");
  for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
    const std::string part(path.substr(0, slash));
    if (::mkdirat(folder.get(), part.c_str(), 0777) != 0 && errno != EEXIST) {
      return base::fail_errno("make the folder \"" + part + "\"");
    }
    base::UniqueFd next(::openat(folder.get(), part.c_str(), kFolderFlags | O_NOFOLLOW));
    if (!next.valid()) return base::fail_errno("open the folder \"" + part + "\"");
    folder = std::move(next);
    path.remove_prefix(slash + 1);
  }
  return folder;
}

base::Status copy_content(const backend::CollectedFile& file, int to) {
  off_t offset = 0;
  const auto size = static_cast<off_t>(file.size.count());
  while (offset < size) {
    const auto chunk =
        std::min<std::uint64_t>(static_cast<std::uint64_t>(size - offset), kCopyChunkBytes);
    const ssize_t count = ::sendfile(to, file.content.get(), &offset, chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("copy");
    if (count == 0) break;
  }
  return {};
}

}  // namespace

base::Result<OutputDirectory> OutputDirectory::open(const std::string& path) {
  const std::string context = "--output \"" + path + "\"";
  AIRLOCK_TRY(make_folders(path).with_context(context));
  base::UniqueFd fd(::open(path.c_str(), kFolderFlags));
  if (!fd.valid()) return base::fail_errno(context);
  return OutputDirectory(std::move(fd));
}

base::Status OutputDirectory::check_writable() const {
  if (::faccessat(fd_.get(), ".", W_OK | X_OK, AT_EACCESS) == 0) return {};
  base::Error error = base::errno_error("--output: no file can be made in this folder");
  if (::geteuid() == 0) {
    error.hint =
        "as root, airlock gives up the right to write to folders of other users before it reads "
        "anything from a program: use a folder of root's, or run as the user who owns it";
  }
  return base::fail(std::move(error));
}

base::Status OutputDirectory::take(const backend::CollectedFile& file) {
  std::string_view name = file.path;
  AIRLOCK_ASSIGN(const base::UniqueFd folder, open_parent(fd_.get(), name));
  // The pid keeps two runs with one folder apart; a leftover can only be a dead one's.
  const std::string temporary = ".airlock-incomplete-" + std::to_string(::getpid());
  (void)::unlinkat(folder.get(), temporary.c_str(), 0);
  const base::UniqueFd to(::openat(folder.get(), temporary.c_str(),
                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!to.valid()) return base::fail_errno("create it");
  base::Status status = copy_content(file, to.get());
  if (status &&
      ::renameat(folder.get(), temporary.c_str(), folder.get(), std::string(name).c_str()) != 0) {
    status = base::fail_errno("give it its name");
  }
  if (!status) (void)::unlinkat(folder.get(), temporary.c_str(), 0);
  return status;
}

}  // namespace airlock::apps
