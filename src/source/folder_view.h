// FolderView: a repository in a folder of this host.
//
// The folder may belong to somebody hostile: every path is resolved strictly below it and through
// no link (openat2), and a fifo or device is never opened. It may change while it is read: what was
// read is then of no one moment, and whoever needs that stops the writers.
#pragma once

#include <string>

#include "base/unique_fd.h"
#include "source/repository_view.h"

namespace airlock::source {

class FolderView final : public RepositoryView {
 public:
  static base::Result<FolderView> open(const std::string& folder);
  explicit FolderView(base::UniqueFd folder) : folder_(std::move(folder)) {}
  FolderView(FolderView&& other) noexcept : folder_(std::move(other.folder_)) {}

  base::Result<RepositoryEntry> look(std::string_view path) const override;
  base::Result<std::string> read(std::string_view path, base::ByteCount bytes_max) const override;

 private:
  base::UniqueFd folder_;
};

}  // namespace airlock::source
