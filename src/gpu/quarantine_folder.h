// QuarantineFolder: the quarantine that outlives the daemon, and that an operator can change.
//
// One file for each GPU, named by its UUID, which holds the reason. Airlock adds a file when a
// fault takes a GPU away; an operator puts a GPU into quarantine by making a file, and lifts it by
// removing one. What is in the folder counts: where the two differ after Airlock's own files were
// written, the pool follows. A file whose name is no UUID is left alone. For one thread.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "gpu/pool.h"

namespace airlock::gpu {

inline constexpr std::size_t kReasonBytesMax = 512;
inline constexpr std::size_t kUuidBytesMax = 96;

class QuarantineFolder {
 public:
  // Made if it is not there; its parent has to be.
  static base::Result<QuarantineFolder> open_or_make(std::filesystem::path folder);

  // Makes pool and folder agree. An error names what could not be written or read: then the pool
  // keeps what it has in quarantine.
  base::Status sync(Pool& pool);

 private:
  explicit QuarantineFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  base::Status write(const GpuFault& fault) const;
  base::Result<std::vector<GpuFault>> read() const;

  std::filesystem::path folder_;
  std::set<std::string> known_;  // that both had when they last agreed
};

}  // namespace airlock::gpu
