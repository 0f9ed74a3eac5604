// Theory of operation: a launcher holds a shared lock on its skeleton for as long as it or a keeper
// of it lives. Who needs one that does not exist makes it under a passing name (locked as well) and
// renames it; a rename that finds the name taken leaves the work of another, and removes its own.
// Then whatever nobody holds a lock on is renamed out of the way and removed: skeletons of old
// stamps, and what a killed builder left. So no name ever stands for half a skeleton.
#include "jail/root_skeleton.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "jail/host_view.h"
#include "jail/sandbox_layout.h"
#include "sys/files.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr const char* kVersion = "2";  // of what this file makes
constexpr const char* kPrefix = "root-";
constexpr const char* kRecalled = "last-root";  // what was found right last
constexpr const char* kPassing = "root-new-XXXXXX";
constexpr std::int64_t kCopiedBytesMax = 64 << 20;
constexpr int kCopiedEntriesMax = 20'000;
constexpr int kCopiedDepthMax = 32;
constexpr off_t kListedFolderMax = 8'192;
constexpr std::time_t kKeptSeconds = 3'600;  // two versions of us in turn must not undo each other
constexpr int kAttempts = 8;

// FNV-1a: tells versions apart, and guards against nobody.
class Stamp {
 public:
  void add(std::string_view text) {
    for (const char byte : text) add_byte(static_cast<unsigned char>(byte));
    add_byte(0);
  }
  void add_status(const struct stat& status) {
    for (const auto number : {std::uint64_t{status.st_dev}, std::uint64_t{status.st_ino},
                              static_cast<std::uint64_t>(status.st_ctim.tv_sec),
                              static_cast<std::uint64_t>(status.st_ctim.tv_nsec)}) {
      for (int shift = 0; shift < 64; shift += 8) add_byte(number >> shift & 0xff);
    }
  }
  std::string text() const {
    char text[32];
    std::snprintf(text, sizeof text, "%016lx", value_);
    return text;
  }

 private:
  void add_byte(std::uint64_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }
  std::uint64_t value_ = 0xcbf29ce484222325;
};

// What the entries of /etc stand for on this host; "/etc/NAME*/rest" has its pattern in the second
// part, and /etc is listed once for all of them.
std::vector<std::string> list_copied() {
  std::vector<std::string> paths;
  sys::Directory listing(AT_FDCWD, "/etc");
  for (const BindEntry& entry : host_etc()) {
    if (!entry.pattern) paths.emplace_back(entry.path);
  }
  const std::size_t fixed = paths.size();
  while (const char* found = listing.next()) {
    for (const BindEntry& entry : host_etc()) {
      if (!entry.pattern) continue;
      const std::string_view pattern = entry.path;
      const std::string name(pattern.substr(5, pattern.find('/', 5) - 5));
      if (fnmatch(name.c_str(), found, FNM_PERIOD) != 0) continue;
      paths.push_back(std::string("/etc/") + found +
                      std::string(pattern.substr(std::min(5 + name.size(), pattern.size()))));
    }
  }
  std::sort(paths.begin() + static_cast<std::ptrdiff_t>(fixed), paths.end());
  return paths;
}

std::string link_target(int directory_fd, const char* path) {
  char target[4096];
  const ssize_t length = readlinkat(directory_fd, path, target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

// What tells whether a skeleton is still right, each with how it is looked at: "s" for stat, "l"
// for lstat. Of each path and, where it is a folder, of the folders in it: the time of a folder
// changes with every file that is added to it, removed, or put in the place of another. Large
// folders are not listed, for the time it takes: what is below them changes together with them.
std::vector<std::string> list_watched(const std::vector<std::string>& copied) {
  std::vector<std::string> watched;
  for (const BindEntry& entry : host_roots()) watched.push_back(std::string("l") + entry.path);
  struct stat status{};
  for (const std::string& path : copied) {
    watched.push_back("s" + path);
    if (stat(path.c_str(), &status) != 0) continue;
    if (!S_ISDIR(status.st_mode) || status.st_nlink == 2) continue;  // 2: no folder in it
    if (status.st_size > kListedFolderMax) continue;
    sys::Directory folder(AT_FDCWD, path.c_str(), 0);
    while (const char* name = folder.next()) {
      if (folder.may_be_directory()) watched.push_back("l" + path + "/" + name);
    }
  }
  return watched;
}

Stamp stamp_watched(const std::vector<std::string>& watched,
                    const std::vector<MountPoint>& points) {
  Stamp stamp;
  stamp.add(kVersion);
  for (const BindEntry& entry : host_trees()) stamp.add(entry.path);
  for (const BindEntry& entry : host_devices()) stamp.add(entry.path);
  for (const FileEntry& entry : made_files()) (stamp.add(entry.path), stamp.add(entry.content));
  for (const LinkEntry& entry : made_links()) (stamp.add(entry.path), stamp.add(entry.target));
  for (const MountPoint& point : points) stamp.add((point.is_folder ? "d" : "f") + point.path);
  struct stat status{};
  for (const std::string& entry : watched) {
    stamp.add(entry);
    const int flags = entry[0] == 'l' ? AT_SYMLINK_NOFOLLOW : 0;
    if (fstatat(AT_FDCWD, entry.c_str() + 1, &status, flags) == 0) stamp.add_status(status);
  }
  return stamp;
}

// Makes things below one directory. The first failure to write is kept; what cannot be read is
// passed over.
class Builder {
 public:
  explicit Builder(int root_fd) : root_fd_(root_fd) {}
  int error() const { return error_; }

  void make_directory(const std::string& path) {
    for (std::size_t end = 0; end != std::string::npos;) {
      end = path.find('/', end + 1);
      need(mkdirat(root_fd_, path.substr(0, end).c_str(), 0755) == 0 || errno == EEXIST);
    }
  }
  void make_link(const std::string& path, const std::string& target) {
    make_parent(path);
    need(symlinkat(target.c_str(), root_fd_, path.c_str()) == 0);
  }
  void make_file(const std::string& path, std::string_view content) {
    make_parent(path);
    const UniqueFd file(openat(root_fd_, path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0444));
    need(file.valid() &&
         write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  }
  // What is there already will do.
  void make_point(const MountPoint& point) {
    const std::string target = point.path.substr(1);
    if (point.is_folder) return make_directory(target);
    make_parent(target);
    const UniqueFd file(openat(root_fd_, target.c_str(),
                               O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0444));
    need(file.valid() || errno == EACCES);
  }
  void copy(const std::string& path) {
    const std::string target = path.substr(1);
    struct stat status{};
    if (stat(path.c_str(), &status) != 0) return;  // a listed path itself may be a link
    make_parent(target);
    copy_entry(AT_FDCWD, path.c_str(), status, root_fd_, target.c_str(), 0);
  }

 private:
  void need(bool done) {
    if (!done && error_ == 0) error_ = errno;
  }
  void make_parent(const std::string& path) {
    const std::size_t end = path.rfind('/');
    if (end != std::string::npos) make_directory(path.substr(0, end));
  }

  void copy_entry(int from_fd, const char* from, const struct stat& status, int to_fd,
                  const char* to, int depth) {
    if (++entries_ > kCopiedEntriesMax || depth > kCopiedDepthMax) return;
    if (S_ISLNK(status.st_mode)) {
      need(symlinkat(link_target(from_fd, from).c_str(), to_fd, to) == 0);
    } else if (S_ISREG(status.st_mode) && (status.st_mode & S_IROTH) != 0) {
      copy_file(from_fd, from, status, to_fd, to);
    } else if (S_ISDIR(status.st_mode) && (status.st_mode & S_IROTH) != 0 &&
               (status.st_mode & S_IXOTH) != 0) {
      need(mkdirat(to_fd, to, 0755) == 0 || errno == EEXIST);
      sys::Directory folder(from_fd, from, depth == 0 ? 0 : O_NOFOLLOW);
      const UniqueFd made(openat(to_fd, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      while (const char* name = folder.next()) {
        struct stat below{};
        if (fstatat(folder.fd(), name, &below, AT_SYMLINK_NOFOLLOW) != 0) continue;
        copy_entry(folder.fd(), name, below, made.get(), name, depth + 1);
      }
    }
  }

  void copy_file(int from_fd, const char* from, const struct stat& status, int to_fd,
                 const char* to) {
    bytes_ += status.st_size;
    const UniqueFd source(openat(from_fd, from, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (bytes_ > kCopiedBytesMax || !source.valid()) return;
    const mode_t mode = (status.st_mode & S_IXOTH) != 0 ? 0555 : 0444;
    const UniqueFd copy(openat(to_fd, to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode));
    need(copy.valid());
    for (off_t left = status.st_size; left > 0 && copy.valid();) {
      const ssize_t count =
          sendfile(copy.get(), source.get(), nullptr, static_cast<std::size_t>(left));
      need(count >= 0);
      if (count <= 0) return;
      left -= count;
    }
  }

  int root_fd_;
  int error_ = 0;
  int entries_ = 0;
  std::int64_t bytes_ = 0;
};

// The root of a sandbox, in the directory `root_fd`.
int fill(int root_fd, const std::vector<std::string>& copied, const std::vector<std::string>& trees,
         const std::vector<MountPoint>& points) {
  Builder builder(root_fd);
  for (const char* path : {"proc", "dev/pts", "etc", ".empty", kWorkspaceStaging}) {
    builder.make_directory(path);
  }
  for (const WorkspacePart& part : kWorkspaceParts) builder.make_directory(part.target);
  for (const std::string& path : trees) builder.make_directory(path.substr(1));
  for (const BindEntry& entry : host_roots()) {
    const std::string target = link_target(AT_FDCWD, entry.path);
    if (!target.empty()) builder.make_link(entry.path + 1, target);
  }
  for (const BindEntry& entry : host_devices()) builder.make_file(entry.path + 1, "");
  for (const FileEntry& entry : made_files()) builder.make_file(entry.path + 1, entry.content);
  for (const LinkEntry& entry : made_links()) builder.make_link(entry.path + 1, entry.target);
  for (const std::string& path : copied) builder.copy(path);
  for (const MountPoint& point : points) builder.make_point(point);
  return builder.error();
}

void remove_unused(const std::string& roots, const std::string& kept) {
  sys::Directory listing(AT_FDCWD, roots.c_str());
  if (!listing.valid()) return;
  std::vector<std::string> names;
  while (const char* name = listing.next()) {
    if (std::string_view(name).starts_with(kPrefix) && name != kept) names.emplace_back(name);
  }
  for (const std::string& name : names) {
    const UniqueFd unused = sys::hold_directory(listing.fd(), name.c_str(), LOCK_EX | LOCK_NB);
    struct stat status{};
    if (!unused.valid() || fstat(unused.get(), &status) != 0) continue;
    if (status.st_ctim.tv_sec + kKeptSeconds > time(nullptr)) continue;
    const std::string passing = kPrefix + std::string("old-") + name.substr(5);
    const char* last = renameat(listing.fd(), name.c_str(), listing.fd(), passing.c_str()) == 0
                           ? passing.c_str()
                           : name.c_str();
    sys::remove_tree_below(unused.get());
    unlinkat(listing.fd(), last, AT_REMOVEDIR);
  }
}

base::Status build(const HostView& view, const std::string& name,
                   const std::vector<std::string>& copied) {
  const std::string& roots = view.roots;
  std::string path = roots + "/" + kPassing;
  const mode_t umask_before = umask(022);
  int error = mkdtemp(path.data()) != nullptr && chmod(path.c_str(), 0755) == 0 ? 0 : errno;
  {
    const UniqueFd top = sys::hold_directory(AT_FDCWD, path.c_str(), LOCK_SH);
    if (error == 0 && (mkdirat(top.get(), kSkeletonRoot, 0755) != 0 ||
                       mkdirat(top.get(), kSkeletonEmpty, 0555) != 0)) {
      error = errno;
    }
    const UniqueFd root(openat(top.get(), kSkeletonRoot, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (error == 0) error = fill(root.get(), copied, view.trees, view.points);
    bool named = false;
    if (error == 0) {
      named = rename(path.c_str(), (roots + "/" + name).c_str()) == 0;
      if (!named && errno != EEXIST && errno != ENOTEMPTY) error = errno;
    }
    if (!named && top.valid()) {  // ours alone: the lock keeps others away
      sys::remove_tree_below(top.get());
      rmdir(path.c_str());
    }
  }
  umask(umask_before);
  remove_unused(roots, name);
  if (error == 0) return {};
  return base::fail(base::errno_error("make the root of sandboxes in " + roots, error));
}

// /usr, and those of /bin and its like that are folders on this host.
std::vector<std::string> list_trees() {
  std::vector<std::string> trees;
  for (const BindEntry& entry : host_trees()) trees.emplace_back(entry.path);
  struct stat status{};
  for (const BindEntry& entry : host_roots()) {
    if (lstat(entry.path, &status) == 0 && S_ISDIR(status.st_mode)) trees.emplace_back(entry.path);
  }
  return trees;
}

// For recall_host_view: the skeleton's name, the stamp of everything on the lines after it, one of
// which is /etc itself, where new names appear. Whoever is last wins, and is as right as the
// others.
void remember(const HostView& view, const std::vector<std::string>& watched,
              const std::string& stamp) {
  std::string text = view.name() + "\n" + stamp + "\n";
  for (const std::string& entry : watched) text += entry + "\n";
  const std::string path = view.run_directory + "/" + kRecalled;
  const std::string passing = path + "-new";
  unlink(passing.c_str());
  const UniqueFd file(open(passing.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
    rename(passing.c_str(), path.c_str());
  }
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos;) {
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

bool is_still_right(const HostView& view) {
  if (!view.in_use.valid() || view.recalled.size() < 2) return false;
  const std::vector<std::string> watched(view.recalled.begin() + 2, view.recalled.end());
  const bool whole = std::ranges::none_of(watched, &std::string::empty);
  return whole && stamp_watched(watched, view.points).text() == view.recalled[1];
}

}  // namespace

HostView recall_host_view(const std::string& run_directory, std::vector<MountPoint> points) {
  HostView view{.run_directory = run_directory,
                .roots = run_directory + "/roots",
                .skeleton = {},
                .in_use = {},
                .trees = list_trees(),
                .recalled = {},
                .points = std::move(points)};
  // What is missing shows when a skeleton is made. Whatever our caller's umask: init looks for its
  // root there as somebody else.
  if (mkdir(view.roots.c_str(), 0755) == 0) chmod(view.roots.c_str(), 0755);
  if (!view.points.empty()) return view;
  const auto text = sys::read_file_at(AT_FDCWD, (run_directory + "/" + kRecalled).c_str());
  if (!text.has_value()) return view;
  view.recalled = split_lines(*text);
  if (view.recalled.empty() || !view.recalled[0].starts_with(kPrefix)) return view;
  view.skeleton = view.roots + "/" + view.recalled[0];
  view.in_use = sys::hold_directory(AT_FDCWD, view.skeleton.c_str(), LOCK_SH);
  return view;
}

void forget_host_view(const HostView& view) {
  unlink((view.run_directory + "/" + kRecalled).c_str());
}

std::string slot_root(const HostView& view, std::uint32_t slot) {
  if (slot >= kSlotsWithRoots) return {};
  const std::string name = "slot-" + std::to_string(slot);
  const std::string path = view.skeleton + "/" + name;
  if (access(path.c_str(), F_OK) == 0) return name;
  // The slot is ours: nobody else makes this one. What a killed maker left goes first.
  const std::string passing = path + "-new";
  const mode_t umask_before = umask(022);
  mkdir(passing.c_str(), 0755);
  const UniqueFd root(open(passing.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const bool made = root.valid() && sys::remove_tree_below(root.get()) == 0 &&
                    fill(root.get(), list_copied(), view.trees, view.points) == 0 &&
                    rename(passing.c_str(), path.c_str()) == 0;
  umask(umask_before);
  return made ? name : std::string();
}

base::Result<bool> check_host_view(HostView* view) {
  if (is_still_right(*view)) return false;
  const std::vector<std::string> copied = list_copied();
  std::vector<std::string> watched = list_watched(copied);
  const std::string name = kPrefix + stamp_watched(watched, view->points).text();
  watched.emplace_back("s/etc");
  const std::string stamp =
      stamp_watched(watched, view->points).text();  // before anything is copied
  const std::string skeleton = view->roots + "/" + name;
  const bool replaced = !view->in_use.valid() || view->skeleton != skeleton;
  view->skeleton = skeleton;
  // More than once: one that is found may be on its way out.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (replaced) view->in_use = sys::hold_directory(AT_FDCWD, skeleton.c_str(), LOCK_SH);
    if (view->in_use.valid()) {
      if (view->points.empty()) remember(*view, watched, stamp);
      return replaced;
    }
    view->trees = list_trees();
    AIRLOCK_TRY(build(*view, name, copied));
  }
  return base::fail(base::ErrorCode::kUnavailable, skeleton + " does not stay");
}

}  // namespace airlock::jail
