#include "nest/toolchain_copy.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <string_view>
#include <utility>

#include "sys/files.h"

namespace airlock::nest {
namespace {

using base::UniqueFd;

constexpr std::uint64_t kBytesMax = 4ull << 30;
constexpr std::size_t kEntriesMax = 400'000;
constexpr int kDepthMax = 64;

// Below a tree; no program fails without them.
constexpr std::array<std::string_view, 14> kLeftOut = {
    "/usr/share/doc",     "/usr/share/man",          "/usr/share/info",    "/usr/share/locale",
    "/usr/share/lintian", "/usr/share/bug",          "/usr/share/gtk-doc", "/usr/share/icons",
    "/usr/share/help",    "/usr/share/applications", "/usr/src",           "/usr/lib/debug",
    "/usr/games",         "/usr/lib/modules"};

base::Status fail_at(const char* what, const std::string& path) {
  return base::fail_errno(std::string(what) + " " + path);
}

class Copier {
 public:
  explicit Copier(std::string target) : target_(std::move(target)) {}

  base::Status copy_folder(const std::string& from, int depth) {
    if (std::ranges::find(kLeftOut, from) != kLeftOut.end() || depth > kDepthMax) return {};
    if (mkdir((target_ + from).c_str(), 0755) != 0 && errno != EEXIST) {
      return fail_at("mkdir", target_ + from);
    }
    sys::Directory folder(AT_FDCWD, from.c_str());
    while (const char* name = folder.next()) {
      AIRLOCK_TRY(copy_entry(folder.fd(), name, from + "/" + name, depth));
    }
    return {};
  }

 private:
  base::Status copy_entry(int folder, const char* name, const std::string& path, int depth) {
    struct stat status{};
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
    if (++entries_ > kEntriesMax) {
      return base::fail(base::ErrorCode::kLimitExceeded, "this image has too many files");
    }
    if (S_ISLNK(status.st_mode)) return copy_link(folder, name, path);
    if (S_ISREG(status.st_mode) && (status.st_mode & S_IROTH) != 0) {
      return copy_file(folder, name, path, status);
    }
    const bool open_to_all = (status.st_mode & (S_IROTH | S_IXOTH)) == (S_IROTH | S_IXOTH);
    return S_ISDIR(status.st_mode) && open_to_all ? copy_folder(path, depth + 1) : base::Status();
  }

  base::Status copy_link(int folder, const char* name, const std::string& path) {
    char text[4096];
    const ssize_t size = readlinkat(folder, name, text, sizeof text);
    if (size <= 0) return {};
    const std::string target(text, static_cast<std::size_t>(size));
    return symlink(target.c_str(), (target_ + path).c_str()) == 0 ? base::Status()
                                                                  : fail_at("link", path);
  }

  base::Status copy_file(int folder, const char* name, const std::string& path,
                         const struct stat& status) {
    const std::string made = target_ + path;
    std::string& known = seen_[{status.st_dev, status.st_ino}];
    if (!known.empty() && link(known.c_str(), made.c_str()) == 0) return {};
    known = made;
    bytes_ += static_cast<std::uint64_t>(status.st_size);
    if (bytes_ > kBytesMax) {
      return base::fail(base::ErrorCode::kLimitExceeded, "the programs of this image are too large",
                        "use an image with the languages that are needed and no more");
    }
    const UniqueFd source(openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!source.valid()) return {};
    const mode_t mode = (status.st_mode & S_IXOTH) != 0 ? 0555 : 0444;
    const UniqueFd copy(open(made.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode));
    if (!copy.valid()) return fail_at("create", made);
    for (off_t left = status.st_size; left > 0;) {
      const ssize_t count =
          sendfile(copy.get(), source.get(), nullptr, static_cast<std::size_t>(left));
      if (count < 0) return fail_at("copy", path);
      if (count == 0) break;
      left -= count;
    }
    // Python compares the times of sources with those in its caches.
    const timespec times[] = {status.st_atim, status.st_mtim};
    futimens(copy.get(), times);
    return {};
  }

  std::string target_;
  std::map<std::pair<dev_t, ino_t>, std::string> seen_;  // files with several names
  std::size_t entries_ = 0;
  std::uint64_t bytes_ = 0;
};

void remove_whole(const std::string& path) {
  const UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.valid()) sys::remove_tree_below(folder.get());
  rmdir(path.c_str());
}

base::Status copy_all(const std::vector<std::string>& trees, const std::string& passing) {
  remove_whole(passing);  // of a killed maker
  if (mkdir(passing.c_str(), 0755) != 0) return fail_at("mkdir", passing);
  Copier copier(passing);
  for (const std::string& tree : trees) AIRLOCK_TRY(copier.copy_folder(tree, 0));
  return {};
}

}  // namespace

base::Status copy_toolchain(const std::vector<std::string>& trees, const std::string& target) {
  if (access(target.c_str(), F_OK) == 0) return {};
  const std::string lock = target + "-lock";
  AIRLOCK_ASSIGN(const UniqueFd alone,
                 sys::open_at(AT_FDCWD, lock.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (flock(alone.get(), LOCK_EX) != 0) return fail_at("lock", lock);
  if (access(target.c_str(), F_OK) == 0) return {};
  const std::string passing = target + "-new";
  const mode_t umask_before = umask(022);
  base::Status done = copy_all(trees, passing);
  if (done && rename(passing.c_str(), target.c_str()) != 0) done = fail_at("rename", passing);
  umask(umask_before);
  if (!done) remove_whole(passing);
  return done;
}

base::Status link_tree(const std::string& copy, const std::string& root) {
  if (mkdir(root.c_str(), 0755) != 0 && errno != EEXIST) return fail_at("mkdir", root);
  sys::Directory folder(AT_FDCWD, copy.c_str());
  if (!folder.valid()) return fail_at("list", copy);
  while (const char* name = folder.next()) {
    const std::string from = copy + "/" + name;
    const std::string to = root + "/" + name;
    if (folder.may_be_directory()) {
      AIRLOCK_TRY(link_tree(from, to));
    } else if (linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) != 0 && errno != EEXIST) {
      return fail_at("link", to);
    }
  }
  return {};
}

base::Status seal_folders(const std::string& root) {
  sys::Directory folder(AT_FDCWD, root.c_str());
  if (!folder.valid()) return fail_at("list", root);
  while (const char* name = folder.next()) {
    if (folder.may_be_directory()) AIRLOCK_TRY(seal_folders(root + "/" + name));
  }
  return fchmod(folder.fd(), 0555) == 0 ? base::Status() : fail_at("chmod", root);
}

}  // namespace airlock::nest
