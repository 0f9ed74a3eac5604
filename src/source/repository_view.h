// RepositoryView: a checked-out repository as the checks and the build plan see it.
//
// Whoever has the files implements it: the runner for a workspace, FolderView for a folder. Paths
// are relative to the folder of the program, with "/" between their parts. No implementation
// follows a symbolic link, and none gives more bytes than it was asked for.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace airlock::source {

enum class EntryKind { kFile, kFolder, kLink, kOther };

struct RepositoryEntry {
  std::string path;
  EntryKind kind = EntryKind::kFile;
  base::ByteCount size;
  bool executable = false;
};

// One entry and its content: what a build could read of it.
struct TreeEntry {
  std::string path;
  EntryKind kind = EntryKind::kFile;
  bool executable = false;
  std::string digest;  // sha256 of the bytes, or of a link's target; empty for a folder
};

class RepositoryView {
 public:
  RepositoryView() = default;
  RepositoryView(const RepositoryView&) = delete;
  RepositoryView& operator=(const RepositoryView&) = delete;
  virtual ~RepositoryView() = default;

  // kNotFound if there is nothing.
  virtual base::Result<RepositoryEntry> look(std::string_view path) const = 0;
  // A regular file, whole; kLimitExceeded if it is larger than `bytes_max`.
  virtual base::Result<std::string> read(std::string_view path,
                                         base::ByteCount bytes_max) const = 0;
};

}  // namespace airlock::source
