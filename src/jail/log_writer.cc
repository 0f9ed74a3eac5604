#include "jail/log_writer.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "jail/guest_process.h"

namespace airlock::jail {
namespace {

using base::UniqueFd;

// Not in linux/magic.h of every kernel.
constexpr std::uint64_t kConfigfsMagic = 0x62656570;
constexpr std::uint64_t kEfivarfsMagic2 = 0xde5e81e4;
constexpr std::uint64_t kFuseControlMagic = 0x65735543;
constexpr std::uint64_t kMadeUp[] = {
    PROC_SUPER_MAGIC,     SYSFS_MAGIC,       CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
    TRACEFS_MAGIC,        SECURITYFS_MAGIC,  SELINUX_MAGIC,      SMACK_MAGIC,         BPF_FS_MAGIC,
    BINFMTFS_MAGIC,       PSTOREFS_MAGIC,    kEfivarfsMagic2,    kConfigfsMagic,      AAFS_MAGIC,
    RDTGROUP_SUPER_MAGIC, kFuseControlMagic, NSFS_MAGIC,         HUGETLBFS_MAGIC};
constexpr std::size_t kNoteBytesMax = 256;

// Of the one keeper that a process is at a time: a record, and then its bytes.
struct {
  LogRecord record;
  char bytes[kLogBytesPerRead];
} buffer;

std::uint64_t unix_us() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

}  // namespace

bool is_log_file(int fd) {
  struct stat status{};
  struct statfs system{};
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0 || (flags & O_APPEND) == 0) return false;
  if ((flags & O_ACCMODE) == O_RDONLY) return false;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || fstatfs(fd, &system) != 0)
    return false;
  // f_type is signed, and the magic of one of these has its highest bit set.
  const auto type = static_cast<std::uint64_t>(static_cast<std::uint32_t>(system.f_type));
  return std::ranges::find(kMadeUp, type) == std::end(kMadeUp);
}

LogWriter::LogWriter(UniqueFd file, std::uint64_t bytes_max)
    : file_(std::move(file)), room_(bytes_max) {}

int LogWriter::open(UniqueFd (&guests_ends)[kStreams], std::int64_t owner) {
  nowhere_.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!nowhere_.valid()) return errno;
  for (std::size_t i = 0; i < kStreams; ++i) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    pipes_[i].reset(ends[0]);
    guests_ends[i].reset(ends[1]);
    // Ours alone: the guest's end waits as a program expects it to.
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return errno;
    // For programs that open /dev/stdout.
    if (owner >= 0 && fchown(ends[1], static_cast<uid_t>(owner), static_cast<gid_t>(-1)) != 0)
      return errno;
  }
  return 0;
}

int LogWriter::poll_fd(std::size_t stream) const {
  return resumes_ns_ == 0 || resumes_ns_ <= monotonic_ns() ? pipes_[stream].get() : -1;
}

std::optional<std::uint64_t> LogWriter::next_check_ns() const {
  const bool open = pipes_[0].valid() || pipes_[1].valid();
  if (!open || resumes_ns_ <= monotonic_ns()) return std::nullopt;
  return resumes_ns_;
}

LogWriter::Read LogWriter::read_once(std::size_t stream, std::size_t* count) {
  ssize_t size = 0;
  do {
    // Nobody copies what nobody will read.
    size = counts_.truncated ? splice(pipes_[stream].get(), nullptr, nowhere_.get(), nullptr,
                                      kLogBytesPerRead, SPLICE_F_NONBLOCK)
                             : read(pipes_[stream].get(), buffer.bytes, kLogBytesPerRead);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return Read::kNothing;
  if (size <= 0) return Read::kEnd;
  *count = static_cast<std::size_t>(size);
  return Read::kSome;
}

void LogWriter::read_some(std::size_t stream) {
  if (!pipes_[stream].valid()) return;
  std::size_t count = 0;
  switch (read_once(stream, &count)) {
    case Read::kSome: take(static_cast<std::uint8_t>(stream + 1), count); break;
    case Read::kEnd: pipes_[stream].reset(); break;
    case Read::kNothing: break;
  }
}

void LogWriter::drain() {
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    if (!pipes_[stream].valid()) continue;
    // As much as it can hold: somebody else's process may have got an end of it.
    const int holds = fcntl(pipes_[stream].get(), F_GETPIPE_SZ);
    std::int64_t left = std::max(holds, 0);
    std::size_t count = 0;
    while (left > 0 && read_once(stream, &count) == Read::kSome) {
      take(static_cast<std::uint8_t>(stream + 1), count);
      left -= static_cast<std::int64_t>(count);
    }
    pipes_[stream].reset();
  }
}

void LogWriter::drop(std::uint64_t bytes) {
  counts_.dropped += bytes;
  resumes_ns_ = monotonic_ns() + kLogDropPauseNs;
}

void LogWriter::take(std::uint8_t stream, std::size_t size) {
  if (counts_.truncated) return drop(size);
  if (gap_ != 0) {
    char text[kNoteBytesMax];
    std::snprintf(text, sizeof text, "%llu bytes could not be written here: %s\n",
                  static_cast<unsigned long long>(gap_), std::strerror(counts_.os_errno));
    if (!note(text)) {
      gap_ += size;
      return drop(size);
    }
    gap_ = 0;
  }
  const std::uint64_t fits = room_ > sizeof(LogRecord) ? room_ - sizeof(LogRecord) : 0;
  const std::size_t kept = std::min<std::uint64_t>(size, fits);
  if (const int error = kept > 0 ? write_record(stream, kept) : 0; error != 0) {
    if (counts_.os_errno == 0) counts_.os_errno = error;
    gap_ += size;
    return drop(size);
  }
  counts_.written += kept;
  if (kept == size) return;
  counts_.truncated = true;
  drop(size - kept);
  note("the log has reached its limit; what comes after it is dropped\n");
}

// May go beyond the bound: one comes at its end, and one for each gap, before a record.
bool LogWriter::note(std::string_view text) {
  struct {
    LogRecord record;
    char bytes[kNoteBytesMax];
  } whole;
  whole.record = {.unix_us = unix_us(), .length = static_cast<std::uint32_t>(text.size())};
  std::memcpy(whole.bytes, text.data(), text.size());
  return append(reinterpret_cast<const char*>(&whole), sizeof(LogRecord) + text.size()) == 0;
}

int LogWriter::write_record(std::uint8_t stream, std::size_t size) {
  buffer.record = {
      .unix_us = unix_us(), .stream = stream, .length = static_cast<std::uint32_t>(size)};
  return append(reinterpret_cast<const char*>(&buffer), sizeof(LogRecord) + size);
}

int LogWriter::append(const char* bytes, std::size_t size) {
  std::size_t done = 0;
  int error = 0;
  while (done < size && error == 0) {
    const ssize_t count = write(file_.get(), bytes + done, size - done);
    if (count > 0) done += static_cast<std::size_t>(count);
    if (count == 0) error = ENOSPC;
    if (count < 0 && errno != EINTR) error = errno;
  }
  if (error == 0) {
    room_ -= std::min<std::uint64_t>(room_, size);
    return 0;
  }
  struct stat status{};
  if (done > 0 && fstat(file_.get(), &status) == 0) {
    // Nobody else writes to it. A part that stays is a record that ends too early, as a crash of
    // the host leaves it.
    const off_t before = status.st_size - static_cast<off_t>(done);
    if (ftruncate(file_.get(), std::max<off_t>(before, 0)) != 0) return errno;
  }
  return error;
}

}  // namespace airlock::jail
