// Files: read whole within a bound, written whole, opened strictly below a folder.
//
// Whoever names a file may be hostile: what is no regular file is never waited for, and nothing is
// held in memory beyond the bound. No state; safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace airlock::base {

// A regular file, for reading.
Result<UniqueFd> open_regular(const std::string& path);

// From where `fd` stands to its end; kLimitExceeded beyond `bytes_max`. `name` is for errors.
Result<std::string> read_to_end(int fd, std::size_t bytes_max, std::string_view name);

// The two together.
Result<std::string> read_regular(const std::string& path, std::size_t bytes_max);

// Whether nobody but its owner (and root) can read the file.
bool is_private(int fd);

// All of it, however many calls it takes; EINTR goes on. `name` is for errors.
Status write_all(int fd, std::string_view bytes, std::string_view name);

// openat2(2): `path` is resolved strictly below `folder_fd`, through no link of any kind.
// O_CLOEXEC is added. Invalid with errno set, if it cannot be had.
UniqueFd open_beneath(int folder_fd, const std::string& path, std::uint64_t flags,
                      std::uint64_t mode = 0);

}  // namespace airlock::base
