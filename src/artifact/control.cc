#include "artifact/control.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <thread>

namespace airlock::artifact {
namespace {

constexpr std::chrono::milliseconds kGlance{50};  // how often a wait looks whether to end

}  // namespace

base::Status check_control(const Control& control, const base::Clock& clock) {
  if (control.cancelled != nullptr && control.cancelled->load(std::memory_order_relaxed)) {
    return base::fail(base::ErrorCode::kCancelled, "the transfer was called off");
  }
  if (control.deadline && clock.steady_now() >= *control.deadline) {
    return base::fail(base::ErrorCode::kLimitExceeded, "the transfer did not end in its time");
  }
  return {};
}

base::Status wait_under(const Control& control, const base::Clock& clock,
                        std::chrono::milliseconds duration) {
  const auto end = std::chrono::steady_clock::now() + duration;
  while (true) {
    AIRLOCK_TRY(check_control(control, clock));
    const auto now = std::chrono::steady_clock::now();
    if (now >= end) return {};
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(end - now, kGlance));
  }
}

base::Status read_range(const FileRange& range, const Control& control, const base::Clock& clock,
                        const std::function<base::Status(std::string_view)>& take) {
  std::string buffer(std::min<std::uint64_t>(kCopyBytes, range.size), '\0');
  for (std::uint64_t done = 0; done < range.size;) {
    AIRLOCK_TRY(check_control(control, clock));
    const auto wanted = std::min<std::uint64_t>(buffer.size(), range.size - done);
    const ssize_t got =
        ::pread(range.fd, buffer.data(), wanted, static_cast<off_t>(range.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno("read the file");
    if (got == 0) {
      return base::fail(base::ErrorCode::kInvalidArgument,
                        "the file became shorter while it was read: it ends after " +
                            std::to_string(range.offset + done) + " bytes");
    }
    AIRLOCK_TRY(take(std::string_view(buffer.data(), static_cast<std::size_t>(got))));
    done += static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace airlock::artifact
