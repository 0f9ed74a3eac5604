#include "runner/jobs/collected_view.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "artifact/digest.h"
#include "runner/jobs/job_files.h"

namespace airlock::runner {
namespace {

namespace fs = std::filesystem;
using source::EntryKind;

bool is_executable(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && (status.st_mode & 0111) != 0;
}

}  // namespace

CollectedView::CollectedView(backend::Collected collected, std::string folder, fs::path kept)
    : collected_(std::move(collected)),
      prefix_(folder.empty() ? "" : std::move(folder) + "/"),
      kept_(std::move(kept)) {
  const auto add = [this](const std::string& path, Found found) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      entries_.emplace(path.substr(0, slash), Found{EntryKind::kFolder, nullptr});
    }
    entries_.insert_or_assign(path, found);
  };
  for (const backend::CollectedFile& file : collected_.files) {
    add(file.path, {EntryKind::kFile, &file});
  }
  for (const model::RefusedOutput& refused : collected_.refused) {
    const bool is_link = refused.reason == "symbolic link";
    add(refused.path, {is_link ? EntryKind::kLink : EntryKind::kOther, nullptr});
  }
}

base::Status CollectedView::keep_file(const std::string& path,
                                      const backend::CollectedFile& file) const {
  const fs::path to = kept_ / path;
  std::error_code error;
  if (file.size <= kKeptFileMax) {
    AIRLOCK_TRY(copy_beneath(kept_, path, file.content.get(), file.size));
  } else {
    AIRLOCK_TRY(write_whole(to, ""));
    fs::resize_file(to, file.size.count(), error);
  }
  if (!error && is_executable(file.content.get())) {
    fs::permissions(to, fs::perms::owner_exec, fs::perm_options::add, error);
  }
  if (error) return base::fail(base::errno_error("keep " + path, error.value()));
  return {};
}

// What a plan asks for again must be there again, with the same kind and size.
void CollectedView::keep(const std::string& path, const Found& found) const {
  std::error_code error;
  const fs::path to = kept_ / path;
  fs::create_directories(found.kind == EntryKind::kFolder ? to : to.parent_path(), error);
  if (!error && found.kind == EntryKind::kLink) fs::create_symlink("link", to, error);
  if (error && error != std::errc::file_exists && keeping_) {
    keeping_ = base::fail(base::errno_error("keep " + path, error.value()));
  }
  if (found.file == nullptr || fs::exists(to, error)) return;
  auto kept = keep_file(path, *found.file);
  if (!kept && keeping_) keeping_ = std::move(kept);
}

base::Result<source::RepositoryEntry> CollectedView::look(std::string_view path) const {
  const auto found = entries_.find(prefix_ + std::string(path));
  if (found == entries_.end()) {
    return base::fail(base::ErrorCode::kNotFound, std::string(path) + " is not there");
  }
  keep(std::string(path), found->second);
  source::RepositoryEntry entry{
      .path = std::string(path), .kind = found->second.kind, .size = {}, .executable = false};
  if (const backend::CollectedFile* const file = found->second.file; file != nullptr) {
    entry.size = file->size;
    entry.executable = is_executable(file->content.get());
  }
  return entry;
}

base::Result<std::string> CollectedView::read(std::string_view path,
                                              base::ByteCount bytes_max) const {
  AIRLOCK_ASSIGN(const source::RepositoryEntry entry, look(path));
  if (entry.kind != EntryKind::kFile) {
    return base::fail(base::ErrorCode::kInvalidArgument, std::string(path) + " is no regular file");
  }
  if (entry.size > bytes_max) {
    return base::fail(base::ErrorCode::kLimitExceeded,
                      std::string(path) + " is larger than " + base::format_byte_count(bytes_max));
  }
  const Found& found = entries_.find(prefix_ + std::string(path))->second;
  std::string text(entry.size.count(), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    // Why safe: at most what is left of `text` is written to it.
    const ssize_t count = ::pread(found.file->content.get(), text.data() + filled,
                                  text.size() - filled, static_cast<off_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail_errno("read " + std::string(path));
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return text;
}

base::Result<std::vector<source::TreeEntry>> CollectedView::digest_tree(
    const std::string& commit) const {
  std::vector<source::TreeEntry> tree;
  for (const auto& [path, found] : entries_) {
    source::TreeEntry entry{
        .path = path, .kind = found.kind, .executable = false, .digest = commit};
    if (found.kind == EntryKind::kFolder) entry.digest.clear();
    if (found.file != nullptr) {
      const int fd = found.file->content.get();
      if (::lseek(fd, 0, SEEK_SET) != 0) return base::fail_errno("read " + path);
      AIRLOCK_ASSIGN(const artifact::FileDigest digest,
                     artifact::digest_file(fd, found.file->size.count()).with_context(path));
      entry.executable = is_executable(fd);
      entry.digest = digest.sha256;
    }
    tree.push_back(std::move(entry));
  }
  return tree;
}

base::ByteCount CollectedView::size() const {
  std::uint64_t bytes = 0;
  for (const backend::CollectedFile& file : collected_.files) bytes += file.size.count();
  return base::ByteCount(bytes);
}

}  // namespace airlock::runner
