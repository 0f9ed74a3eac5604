// JobLog: what the processes of one step wrote, as the keeper wrote it to a file.
//
// A file of records: {u64 unix microseconds, u8 stream, u8[3] zero, u32 length}, little-endian,
// then the bytes, at most kLogRecordBytesMax (docs/adr/0013-jobs.md). Read while it grows: what
// is no whole record is not there yet. What does not look like a record ends the reading with an
// error; nothing is guessed. Bytes are the guest's: whoever shows them escapes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/job.h"

namespace airlock::runner {

inline constexpr std::size_t kLogRecordBytesMax = 64 * 1024;
inline constexpr std::size_t kLogHeaderBytes = 16;

enum class LogStream : std::uint8_t { kNotice = 0, kStdout = 1, kStderr = 2 };

struct LogRecord {
  model::WallTime time{};
  LogStream stream = LogStream::kStdout;
  std::string bytes;
};

struct LogPiece {
  std::vector<LogRecord> records;
  std::uint64_t next = 0;  // offset to go on from
};

// Whole records from `offset` on, until `bytes_max` are there; at least one if there is one.
// A file that is missing is an empty log.
base::Result<LogPiece> read_log(const std::filesystem::path& file, std::uint64_t offset,
                                std::size_t bytes_max);

// Appends one record of stream kNotice: what the runner itself has to say about the step.
base::Status append_notice(const std::filesystem::path& file, model::WallTime time,
                           std::string_view text);

// The last line that is not empty, of either stream, cut to `bytes_max`: what an error text quotes.
std::string last_line(const std::filesystem::path& file, std::size_t bytes_max);

// What the program wrote, both streams in the order in which it came, at most `bytes_max` of it.
base::Result<std::string> read_text(const std::filesystem::path& file, std::size_t bytes_max);

// Everything of one stream, at most `bytes_max` of it.
base::Result<std::string> read_stream(const std::filesystem::path& file, LogStream stream,
                                      std::size_t bytes_max);

}  // namespace airlock::runner
