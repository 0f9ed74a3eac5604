#include "runner/jobs/job_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"

namespace airlock::runner {
namespace {

constexpr std::size_t kReadAtOnce = 256 * 1024;

struct Header {
  std::uint64_t time_us = 0;
  std::uint8_t stream = 0;
  std::uint8_t zero[3] = {};
  std::uint32_t length = 0;
};
static_assert(sizeof(Header) == kLogHeaderBytes);

// 1: it is whole; 0: there is nothing, or less than a record.
base::Result<bool> read_exactly(int fd, void* to, std::size_t count, std::uint64_t offset) {
  std::size_t filled = 0;
  while (filled < count) {
    // Why safe: at most `count - filled` bytes are written behind what is filled.
    const ssize_t got = ::pread(fd, static_cast<char*>(to) + filled, count - filled,
                                static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno("read a log");
    if (got == 0) return false;
    filled += static_cast<std::size_t>(got);
  }
  return true;
}

base::Result<bool> read_record(int fd, std::uint64_t offset, LogRecord* record) {
  Header header;
  AIRLOCK_ASSIGN(const bool has_header, read_exactly(fd, &header, sizeof header, offset));
  if (!has_header) return false;
  const bool sound = header.stream <= static_cast<std::uint8_t>(LogStream::kStderr) &&
                     header.length <= kLogRecordBytesMax && header.zero[0] == 0 &&
                     header.zero[1] == 0 && header.zero[2] == 0;
  if (!sound) {
    return base::fail(base::ErrorCode::kProtocol,
                      "the log has no record at byte " + std::to_string(offset));
  }
  record->time = model::WallTime(std::chrono::microseconds(header.time_us));
  record->stream = static_cast<LogStream>(header.stream);
  record->bytes.resize(header.length);
  return read_exactly(fd, record->bytes.data(), header.length, offset + kLogHeaderBytes);
}

template <typename Wanted>
base::Result<std::string> read_where(const std::filesystem::path& file, std::size_t bytes_max,
                                     Wanted wanted) {
  std::string text;
  for (std::uint64_t offset = 0; text.size() < bytes_max;) {
    AIRLOCK_ASSIGN(const LogPiece piece, read_log(file, offset, kReadAtOnce));
    if (piece.records.empty()) break;
    offset = piece.next;
    for (const LogRecord& record : piece.records) {
      if (wanted(record.stream)) text += record.bytes;
    }
  }
  if (text.size() > bytes_max) text.resize(bytes_max);
  return text;
}

}  // namespace

base::Result<LogPiece> read_log(const std::filesystem::path& file, std::uint64_t offset,
                                std::size_t bytes_max) {
  LogPiece piece{.records = {}, .next = offset};
  const base::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    if (errno == ENOENT) return piece;
    return base::fail_errno("open " + file.filename().string());
  }
  std::size_t taken = 0;
  while (taken < bytes_max) {
    LogRecord record;
    AIRLOCK_ASSIGN(const bool whole, read_record(fd.get(), piece.next, &record));
    if (!whole) break;
    piece.next += kLogHeaderBytes + record.bytes.size();
    taken += kLogHeaderBytes + record.bytes.size();
    piece.records.push_back(std::move(record));
  }
  return piece;
}

base::Status append_notice(const std::filesystem::path& file, model::WallTime time,
                           std::string_view text) {
  const base::UniqueFd fd(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return base::fail_errno("open " + file.filename().string());
  text = text.substr(0, kLogRecordBytesMax);
  Header header;
  header.time_us = static_cast<std::uint64_t>(time.time_since_epoch().count());
  header.length = static_cast<std::uint32_t>(text.size());
  std::string record(sizeof header, '\0');
  std::memcpy(record.data(), &header, sizeof header);
  record += text;
  // One write: the keeper may be appending, too.
  const ssize_t written = ::write(fd.get(), record.data(), record.size());
  if (written != std::ssize(record)) return base::fail_errno("write " + file.filename().string());
  return {};
}

std::string last_line(const std::filesystem::path& file, std::size_t bytes_max) {
  std::string line;
  std::string tail;
  for (std::uint64_t offset = 0;;) {
    const auto piece = read_log(file, offset, kReadAtOnce);
    if (!piece || piece->records.empty()) break;
    offset = piece->next;
    for (const LogRecord& record : piece->records) {
      if (record.stream == LogStream::kNotice) continue;
      for (const char c : record.bytes) {
        if (c != '\n' && c != '\r') {
          if (tail.size() < bytes_max) tail += c;
          continue;
        }
        if (!tail.empty()) line = std::move(tail);
        tail.clear();
      }
    }
  }
  return tail.empty() ? line : tail;
}

base::Result<std::string> read_text(const std::filesystem::path& file, std::size_t bytes_max) {
  return read_where(file, bytes_max, [](LogStream stream) { return stream != LogStream::kNotice; });
}

base::Result<std::string> read_stream(const std::filesystem::path& file, LogStream stream,
                                      std::size_t bytes_max) {
  return read_where(file, bytes_max, [stream](LogStream one) { return one == stream; });
}

}  // namespace airlock::runner
