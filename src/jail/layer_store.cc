#include "jail/layer_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>

#include "jail/channel.h"
#include "jail/test_hooks.h"
#include "sys/files.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

constexpr const char* kDirectoryName = "layers";
constexpr const char* kTree = "tree";
constexpr const char* kSize = "size";
constexpr const char* kWriting = ".new-";  // no name of a layer begins so
constexpr const char* kRemoving = ".old-";
constexpr mode_t kFolderMode = 0755;
constexpr mode_t kFileMode = 0444;
constexpr mode_t kProgramMode = 0555;
constexpr std::size_t kCopyChunk = 16u << 20;

std::string directory_of(const std::string& state_directory) {
  return state_directory + "/" + kDirectoryName;
}

base::Result<UniqueFd> open_layers(const std::string& state_directory) {
  const std::string path = directory_of(state_directory);
  return sys::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

base::Result<UniqueFd> make_layers(const std::string& state_directory) {
  const std::string path = directory_of(state_directory);
  for (std::size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    mkdir(path.substr(0, end).c_str(), 0700);
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return base::fail_errno("mkdir " + path);
  return open_layers(state_directory);
}

// Makes a folder with exactly this mode, and opens it.
UniqueFd make_folder(int parent_fd, const char* name) {
  if (mkdirat(parent_fd, name, 0700) != 0) return {};
  UniqueFd fd(openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.valid() && fchmod(fd.get(), kFolderMode) != 0) fd.reset();
  return fd;
}

void remove_folder(int parent_fd, const char* name) {
  const UniqueFd folder(openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.valid()) sys::remove_tree_below(folder.get());
  unlinkat(parent_fd, name, AT_REMOVEDIR);
}

void remove_unused(int parent_fd, const char* name) {
  const UniqueFd held = sys::hold_directory(parent_fd, name, LOCK_EX | LOCK_NB);
  if (held.valid()) remove_folder(parent_fd, name);
}

// One name of a folder, as init has to send it.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos;
}

std::int64_t microseconds(const timespec& time) {
  return time.tv_sec * std::int64_t{1'000'000} + time.tv_nsec / 1'000;
}

}  // namespace

bool is_layer_name(std::string_view name) {
  return !name.empty() && name.size() <= kLayerNameBytesMax &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

base::Result<LayerWriter> LayerWriter::begin(const std::string& state_directory,
                                             std::string_view name, LayerLimits limits) {
  LayerWriter writer;
  writer.name_ = name;
  writer.limits_ = limits;
  AIRLOCK_ASSIGN(writer.layers_, make_layers(state_directory));
  if (faccessat(writer.layers_.get(), writer.name_.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    writer.kept_.existed = true;
    return writer;
  }
  std::uint64_t bytes = 0;
  const std::vector<LayerState> layers = list_layers(state_directory);
  for (const LayerState& layer : layers) bytes += layer.bytes;
  if (layers.size() >= kLayersMax || bytes >= kLayersBytesMax) {
    return base::fail(base::errno_error("keep another layer", EDQUOT));
  }
  writer.passing_ = kWriting + std::to_string(getpid());
  const char* const passing = writer.passing_.c_str();
  remove_unused(writer.layers_.get(), passing);  // of a process that had our number
  make_folder(writer.layers_.get(), passing);
  // A sweep that comes right now removes it: then this fails.
  writer.lock_ = sys::hold_directory(writer.layers_.get(), passing, LOCK_EX | LOCK_NB);
  UniqueFd tree = make_folder(writer.lock_.get(), kTree);
  if (!tree.valid()) return base::fail_errno("make a layer");
  writer.folders_.push_back(std::move(tree));
  crash_point("crash:layer_begun");
  return writer;
}

LayerWriter::~LayerWriter() {
  folders_.clear();
  if (layers_.valid() && !passing_.empty()) remove_folder(layers_.get(), passing_.c_str());
}

bool LayerWriter::leaves_room(std::uint64_t bytes) const {
  struct statvfs space{};
  if (fstatvfs(layers_.get(), &space) != 0) return false;
  const std::uint64_t free = space.f_bavail * space.f_frsize;
  // Some file systems count no inodes.
  return free >= kLayersFreeBytesMin && free - kLayersFreeBytesMin >= bytes &&
         (space.f_files == 0 || space.f_favail >= kLayersFreeInodesMin);
}

int LayerWriter::add(const TreeEntry& entry, const UniqueFd& content) {
  if (folders_.empty()) return EBADMSG;
  if (entry.kind == EntryKind::kFolderEnd) {
    if (folders_.size() < 2) return EBADMSG;
    folders_.pop_back();
    return 0;
  }
  if (!is_name(entry.name)) return EBADMSG;
  if (entry.kind == EntryKind::kOther) {
    ++kept_.skipped;
    return 0;
  }
  if (++kept_.entries > limits_.entries) return EDQUOT;
  const std::string name(entry.name);
  switch (entry.kind) {
    case EntryKind::kFolder: return add_folder(entry);
    case EntryKind::kFile: return add_file(entry, content);
    case EntryKind::kLink:
      return symlinkat(std::string(entry.target).c_str(), folders_.back().get(), name.c_str()) == 0
                 ? 0
                 : errno;
    default: return EBADMSG;
  }
}

int LayerWriter::add_folder(const TreeEntry& entry) {
  if (folders_.size() > kLayerDepthMax + 1) return ELOOP;
  UniqueFd folder = make_folder(folders_.back().get(), std::string(entry.name).c_str());
  if (!folder.valid()) return errno;
  folders_.push_back(std::move(folder));
  return 0;
}

int LayerWriter::add_file(const TreeEntry& entry, const UniqueFd& content) {
  struct stat status{};
  if (fstat(content.get(), &status) != 0 || !S_ISREG(status.st_mode)) return EBADMSG;
  const UniqueFd file(openat(folders_.back().get(), std::string(entry.name).c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return errno;
  // Holes stay holes: only what is in between counts, here and in the workspace.
  if (ftruncate(file.get(), status.st_size) != 0) return errno;
  if (const int error = copy(content, file)) return error;
  if (fchmod(file.get(), entry.executable ? kProgramMode : kFileMode) != 0) return errno;
  // Compilers of scripts tell by it whether what they made is up to date.
  const timespec times[] = {{0, UTIME_OMIT}, {entry.modified_s, entry.modified_ns}};
  return entry.modified_ns < 1'000'000'000 && futimens(file.get(), times) != 0 ? errno : 0;
}

int LayerWriter::copy(const UniqueFd& from, const UniqueFd& to) {
  for (off_t end = 0;;) {
    off_t at = lseek(from.get(), end, SEEK_DATA);
    if (at < 0) return errno == ENXIO ? 0 : errno;
    end = lseek(from.get(), at, SEEK_HOLE);
    if (end < 0 || lseek(to.get(), at, SEEK_SET) != at) return errno;
    const auto size = static_cast<std::uint64_t>(end - at);
    if (size > limits_.bytes - bytes_) return EDQUOT;
    if (!leaves_room(size)) return ENOSPC;
    bytes_ += size;
    while (at < end) {
      const ssize_t count = sendfile(to.get(), from.get(), &at,
                                     std::min(static_cast<std::size_t>(end - at), kCopyChunk));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return errno;
      if (count == 0) return EIO;  // nobody is there who could make it shorter
    }
  }
}

int LayerWriter::write_size() {
  const sys::TreeUsage usage = sys::measure_tree(folders_.front().get(), limits_.entries);
  kept_.bytes = usage.bytes;
  const UniqueFd file(openat(lock_.get(), kSize, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const std::string text = std::to_string(usage.bytes) + "\n";
  const bool done = file.valid() && write(file.get(), text.data(), text.size()) ==
                                        static_cast<ssize_t>(text.size());
  return done ? 0 : errno;
}

LayerKept LayerWriter::finish() {
  if (kept_.existed) return kept_;
  crash_point("crash:layer_written");
  if (folders_.size() != 1) {
    kept_.os_errno = EBADMSG;
  } else {
    kept_.os_errno = write_size();
  }
  if (kept_.os_errno == 0 && syncfs(lock_.get()) != 0) kept_.os_errno = errno;
  if (kept_.os_errno != 0) return kept_;
  crash_point("crash:layer_synced");
  // A sweep needs the lock for itself; who uses the layer from here on need not.
  flock(lock_.get(), LOCK_SH);
  const int layers = layers_.get();
  if (renameat2(layers, passing_.c_str(), layers, name_.c_str(), RENAME_NOREPLACE) == 0) {
    crash_point("crash:layer_named");
    passing_.clear();
    if (fsync(layers) != 0) kept_.os_errno = errno;
  } else if (errno == EEXIST) {
    kept_.existed = true;  // somebody was faster
  } else {
    kept_.os_errno = errno;
  }
  return kept_;
}

base::Result<HeldLayer> hold_layer(const std::string& state_directory, std::string_view name) {
  if (!is_layer_name(name)) return base::fail(base::errno_error("a name of a layer", EINVAL));
  HeldLayer held;
  AIRLOCK_ASSIGN(const UniqueFd layers, open_layers(state_directory));
  const std::string own(name);
  held.lock = sys::hold_directory(layers.get(), own.c_str(), LOCK_SH | LOCK_NB);
  if (!held.lock.valid()) return base::fail(base::errno_error("layer " + own, ENOENT));
  AIRLOCK_ASSIGN(held.tree,
                 sys::open_at(held.lock.get(), kTree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  held.path = directory_of(state_directory) + "/" + own + "/" + kTree;
  if (futimens(held.lock.get(), nullptr) != 0) return base::fail_errno("use layer " + own);
  return held;
}

std::vector<LayerState> list_layers(const std::string& state_directory) {
  std::vector<LayerState> found;
  sys::Directory listing(AT_FDCWD, directory_of(state_directory).c_str());
  while (const char* name = listing.next()) {
    struct stat status{};
    if (!is_layer_name(name) || fstatat(listing.fd(), name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    const std::string size = std::string(name) + "/" + kSize;
    found.push_back({name, sys::read_number_at(listing.fd(), size.c_str()).value_or(0),
                     microseconds(status.st_mtim)});
  }
  return found;
}

int remove_layer(const std::string& state_directory, std::string_view name) {
  if (!is_layer_name(name)) return EINVAL;
  const auto layers = open_layers(state_directory);
  if (!layers.has_value()) return layers.error().os_errno;
  const std::string own(name);
  const int directory = layers->get();
  const UniqueFd held = sys::hold_directory(directory, own.c_str(), LOCK_EX | LOCK_NB);
  if (!held.valid()) return errno == EWOULDBLOCK ? EBUSY : ENOENT;
  // From here on nobody finds it, and whoever waited for the lock finds that it is gone.
  const std::string passing = kRemoving + own;
  if (renameat(directory, own.c_str(), directory, passing.c_str()) != 0) return errno;
  crash_point("crash:layer_unnamed");
  sys::remove_tree_below(held.get());
  return unlinkat(directory, passing.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
}

void sweep_layers(const std::string& state_directory) {
  sys::Directory listing(AT_FDCWD, directory_of(state_directory).c_str());
  struct stat status{};
  if (!listing.valid() || fstat(listing.fd(), &status) != 0 || status.st_uid != geteuid()) return;
  std::vector<std::string> names;
  while (const char* name = listing.next()) {
    if (name[0] == '.') names.emplace_back(name);
  }
  for (const std::string& name : names) remove_unused(listing.fd(), name.c_str());
}

void serve_layer_order(const std::string& state_directory, const LayerOrder& order,
                       const UniqueFd& answers) {
  LayersDone done;
  if (order.verb == LayerVerb::kRemove) {
    done.os_errno = remove_layer(state_directory, order.name);
  } else if (order.verb == LayerVerb::kFind && !is_layer_name(order.name)) {
    done.os_errno = EINVAL;
  } else {
    if (order.verb == LayerVerb::kFind) done.os_errno = ENOENT;
    for (const LayerState& layer : list_layers(state_directory)) {
      if (order.verb == LayerVerb::kFind && layer.name != order.name) continue;
      done.os_errno =
          send_message(answers.get(), LayerListed{layer.name, layer.bytes, layer.used_us});
      if (done.os_errno != 0) break;
    }
  }
  send_message(answers.get(), done);
}

}  // namespace airlock::jail
