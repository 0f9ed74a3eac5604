// JobFiles: where the files of jobs lie, below one directory that belongs to the service.
//
//   jobs/<id>/logs/<step>.log    written by keepers, see job_log.h
//   jobs/<id>/inputs/            what was downloaded; gone when the job has ended
//   jobs/<id>/outputs/           what the program left in /output
//   jobs/<id>/receipt.json
//
// Ids and steps are ours; paths of outputs are a guest's and are opened so that no part of them can
// be a link or lead out. Holds nothing open; safe from any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"

namespace airlock::runner {

class JobFiles {
 public:
  explicit JobFiles(const std::filesystem::path& directory) : root_(directory / "jobs") {}

  base::Status create(const std::string& id) const;
  // Nothing of the job is left. What is not there is no error.
  base::Status remove(const std::string& id) const;
  std::filesystem::path of(const std::string& id) const { return root_ / id; }
  std::filesystem::path log(const std::string& id, const std::string& step) const {
    return of(id) / "logs" / (step + ".log");
  }
  std::filesystem::path inputs(const std::string& id) const { return of(id) / "inputs"; }
  std::filesystem::path outputs(const std::string& id) const { return of(id) / "outputs"; }
  std::filesystem::path receipt(const std::string& id) const { return of(id) / "receipt.json"; }

  // Everybody whose folder is there.
  std::vector<std::string> ids() const;

 private:
  std::filesystem::path root_;
};

// To append to, as a keeper does; made if it is not there.
base::Result<base::UniqueFd> open_log(const std::filesystem::path& file);

// A regular file below `directory`; no part of `path` may be a link.
base::Result<base::UniqueFd> open_beneath(const std::filesystem::path& directory,
                                          const std::string& path);

base::Result<base::ByteCount> size_of(int fd);

// A file that is nowhere but here, to be read from its beginning.
base::Result<base::UniqueFd> memory_file(std::string_view text);

// Copies `size` bytes of `from_fd` into a new file below `directory`, with the folders that it
// needs. Holes stay holes.
base::Status copy_beneath(const std::filesystem::path& directory, const std::string& path,
                          int from_fd, base::ByteCount size);

// Whole or not at all, also after a loss of power.
base::Status write_whole(const std::filesystem::path& file, std::string_view text);
base::Result<std::string> read_whole(const std::filesystem::path& file, std::size_t bytes_max);

}  // namespace airlock::runner
