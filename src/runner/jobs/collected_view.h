// CollectedView: a checked-out repository as the sandbox handed it out: descriptors of its files.
//
// Files that the plans look at are copied to a folder meanwhile, so that whoever adopts the job
// later sees what was seen now, through a source::FolderView, without disturbing what runs in the
// workspace. Borrows nothing; one thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "source/repository_view.h"

namespace airlock::runner {

// Larger files are kept with their size only: no plan reads so much.
inline constexpr base::ByteCount kKeptFileMax = base::mebibytes(16);

class CollectedView final : public source::RepositoryView {
 public:
  // `collected` is of the directory "workspace"; `folder` is the program's in it: "" or "a/b".
  CollectedView(backend::Collected collected, std::string folder, std::filesystem::path kept);

  base::Result<source::RepositoryEntry> look(std::string_view path) const override;
  base::Result<std::string> read(std::string_view path, base::ByteCount bytes_max) const override;

  // Of the whole checkout, sorted. What is no regular file is named, with `commit` as its digest:
  // the commit determines what a link says.
  base::Result<std::vector<source::TreeEntry>> digest_tree(const std::string& commit) const;
  base::ByteCount size() const;
  // Whether all that was seen so far is kept.
  const base::Status& kept() const { return keeping_; }

 private:
  struct Found {
    source::EntryKind kind = source::EntryKind::kFile;
    const backend::CollectedFile* file = nullptr;
  };
  void keep(const std::string& path, const Found& found) const;
  base::Status keep_file(const std::string& path, const backend::CollectedFile& file) const;

  backend::Collected collected_;
  std::string prefix_;  // "" or "a/b/"
  std::filesystem::path kept_;
  std::map<std::string, Found, std::less<>> entries_;  // by path in the checkout; folders, too
  mutable base::Status keeping_;                       // the first that went wrong
};

}  // namespace airlock::runner
