// Tar archives (POSIX ustar) with a few entries, as container runtimes take files.
//
// Writes heads and padding; who uses it puts the bytes of a file between them, so that none is held
// in memory. Regular files and folders only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace airlock::container {

struct TarEntry {
  std::string path;  // without a slash at the front; at most 255 bytes, its name at most 100
  bool is_folder = false;
  std::uint32_t mode = 0644;
  std::uint32_t owner = 0;
  std::uint64_t size = 0;  // of what follows the head
};

// The head of an entry. Its content follows, and then tar_padding() of its size.
base::Result<std::string> tar_head(const TarEntry& entry);
std::string tar_padding(std::uint64_t size);
// What an archive ends with.
std::string tar_end();

}  // namespace airlock::container
