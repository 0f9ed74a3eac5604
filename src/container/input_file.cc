#include "container/input_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <string_view>

#include "jail/path_rules.h"

namespace airlock::container {
namespace {

using base::UniqueFd;

constexpr std::string_view kPrefix = "input/";
constexpr std::size_t kAtOnce = 1 << 20;

UniqueFd open_beneath(int folder, const char* path, std::uint64_t flags, std::uint64_t mode) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, folder, path, &how, sizeof how)));
}

}  // namespace

int write_input(const std::string& folder, const jail::PutFile& request, const UniqueFd& content) {
  if (!jail::is_safe_path(request.path)) return EINVAL;
  const std::string path(request.path.substr(kPrefix.size()));
  const UniqueFd top(open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  for (std::size_t end = 0; (end = path.find('/', end)) != std::string::npos; ++end) {
    if (mkdirat(top.get(), path.substr(0, end).c_str(), 0755) != 0 && errno != EEXIST) return errno;
  }
  const mode_t mode = request.executable ? 0755 : 0644;
  const UniqueFd file = open_beneath(top.get(), path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (!file.valid()) return errno;
  fchmod(file.get(), mode);
  off_t offset = 0;
  while (true) {
    const ssize_t count = sendfile(file.get(), content.get(), &offset, kAtOnce);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return 0;
  }
}

}  // namespace airlock::container
