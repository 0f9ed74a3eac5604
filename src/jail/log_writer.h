// LogWriter: what a process says on stdout and stderr, read from two pipes and written to a file.
//
// The file is a row of records: a LogRecord, little-endian, then its bytes (docs/adr/0013). What it
// grows by is bounded, the LogRecords counted: the record that would go beyond is cut, one with
// stream 0 says so, and the rest is counted and dropped. So is what cannot be written, as on a full
// disk; when the file takes something again a record with stream 0 tells of the gap. The program
// goes on in both cases. A record is in the file whole or not at all.
//
// One call reads once, at most kLogBytesPerRead, and who drops reads once in a millisecond: a guest
// that writes without end keeps nobody from anything else. For one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/unique_fd.h"
#include "jail/wire.h"

namespace airlock::jail {

inline constexpr std::size_t kLogBytesPerRead = 64 * 1024;
inline constexpr std::uint64_t kLogBytesMaxMax = 1ull << 40;
inline constexpr std::uint64_t kLogDropPauseNs = 1'000'000;

struct LogRecord {
  std::uint64_t unix_us = 0;  // when it was read
  std::uint8_t stream = 0;    // 1: stdout, 2: stderr, 0: a note of ours
  std::uint8_t zero[3] = {};
  std::uint32_t length = 0;
};
static_assert(sizeof(LogRecord) == 16);

// A regular file of a real file system, opened for writing and appending: what the kernel makes up
// as it is written (procfs and its like) would ask for our rights and not for its opener's.
bool is_log_file(int fd);

class LogWriter {
 public:
  static constexpr std::size_t kStreams = 2;  // stdout, stderr

  LogWriter(base::UniqueFd file, std::uint64_t bytes_max);

  // Makes the pipes, whose other ends are `owner`'s if that is not -1; 0 or an errno.
  int open(base::UniqueFd (&guests_ends)[kStreams], std::int64_t owner);
  // To wait for; -1 when it has ended, or is not to be read before next_check_ns().
  int poll_fd(std::size_t stream) const;
  void read_some(std::size_t stream);
  // All that is in the pipes. A writer that still lives is not waited for.
  void drain();
  std::optional<std::uint64_t> next_check_ns() const;
  const LogCounts& counts() const { return counts_; }

 private:
  enum class Read { kSome, kNothing, kEnd };
  Read read_once(std::size_t stream, std::size_t* count);
  void take(std::uint8_t stream, std::size_t size);
  void drop(std::uint64_t bytes);
  bool note(std::string_view text);
  int write_record(std::uint8_t stream, std::size_t size);
  int append(const char* bytes, std::size_t size);

  base::UniqueFd file_;
  std::uint64_t room_;  // how much the file may still grow
  base::UniqueFd pipes_[kStreams];
  base::UniqueFd nowhere_;  // where what is dropped goes
  LogCounts counts_;
  std::uint64_t gap_ = 0;  // dropped since the last record because it could not be written
  std::uint64_t resumes_ns_ = 0;
};

}  // namespace airlock::jail
