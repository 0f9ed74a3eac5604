#include "gpu/quarantine_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/unique_fd.h"

namespace airlock::gpu {
namespace {

namespace fs = std::filesystem;

bool is_uuid(std::string_view name) {
  return (name.starts_with("GPU-") || name.starts_with("MIG-")) && name.size() <= kUuidBytesMax &&
         std::ranges::all_of(name, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-';
         });
}

// One line, printable.
std::string as_reason(std::string_view text) {
  std::string reason(text.substr(0, text.find('\n')));
  std::ranges::replace_if(reason, [](char c) { return c < ' ' || c > '~'; }, '?');
  return reason.empty() ? "an operator's quarantine" : reason;
}

base::Result<std::string> read_reason(const fs::path& path) {
  // A pipe would have us wait, and a link could have us read what is nobody's business.
  const base::UniqueFd fd(
      ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return base::fail_errno("open " + path.string());
  std::array<char, kReasonBytesMax> buffer;
  const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
  if (size < 0) return base::fail_errno("read " + path.string());
  return as_reason({buffer.data(), static_cast<std::size_t>(size)});
}

}  // namespace

base::Result<QuarantineFolder> QuarantineFolder::open_or_make(fs::path folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::fail_errno("make " + folder.string());
  }
  return QuarantineFolder(std::move(folder));
}

base::Status QuarantineFolder::write(const GpuFault& fault) const {
  const fs::path path = folder_ / fault.uuid;
  const base::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return errno == EEXIST ? base::Status() : base::fail_errno("write " + path.string());
  }
  const std::string text = as_reason(fault.reason).substr(0, kReasonBytesMax - 1) + "\n";
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(fd.get()) != 0) {
    return base::fail_errno("write " + path.string());  // that it is there is what counts
  }
  const base::UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::fsync(folder.get()) != 0) {
    return base::fail_errno("write " + folder_.string());
  }
  return {};
}

base::Result<std::vector<GpuFault>> QuarantineFolder::read() const {
  std::vector<GpuFault> all;
  std::error_code error;
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!is_uuid(name)) continue;
    // A file that cannot be read says by its name what it is there for.
    all.push_back({name, read_reason(entry->path()).value_or("an operator's quarantine")});
  }
  if (error) return base::fail(base::errno_error("read " + folder_.string(), error.value()));
  return all;
}

base::Status QuarantineFolder::sync(Pool& pool) {
  AIRLOCK_ASSIGN(const std::vector<GpuFault> in_folder, read());
  std::set<std::string> agreed;
  for (const GpuFault& fault : in_folder) {
    pool.quarantine(fault.uuid, fault.reason);
    agreed.insert(fault.uuid);
  }
  base::Status status;
  for (const GpuFault& fault : pool.quarantined()) {
    if (agreed.contains(fault.uuid)) continue;
    if (known_.contains(fault.uuid)) {
      (void)pool.lift(fault.uuid);  // somebody removed its file
      continue;
    }
    if (auto written = write(fault); written) {
      agreed.insert(fault.uuid);
    } else {
      status = std::move(written);
    }
  }
  known_ = std::move(agreed);
  return status;
}

}  // namespace airlock::gpu
