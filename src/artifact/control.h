// Control in use: is it time to stop, waiting with an eye on it, and moving bytes under it.
//
// Free functions for whoever implements a Store. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

#include "artifact/store.h"
#include "base/clock.h"
#include "base/result.h"

namespace airlock::artifact {

inline constexpr std::size_t kCopyBytes = 256 * 1024;  // at once

// kCancelled or kLimitExceeded if the call has to end now.
base::Status check_control(const Control& control, const base::Clock& clock);

// Waits in real time; ends early with check_control's error.
base::Status wait_under(const Control& control, const base::Clock& clock,
                        std::chrono::milliseconds duration);

// Gives the bytes [offset, offset + size) of a file to `take`, in pieces. A file that ends before
// that is kInvalidArgument: it was changed meanwhile.
struct FileRange {
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
base::Status read_range(const FileRange& range, const Control& control, const base::Clock& clock,
                        const std::function<base::Status(std::string_view)>& take);

}  // namespace airlock::artifact
