// OutputSink and FileSink: where a run's bytes go, as they come.
//
// The runner never holds more than one buffer per stream: a sink that takes nothing stops the
// reading, and with it the program once its pipe is full. A sink that reports an error says that
// nobody reads any more: the run is cancelled. Called on the thread that runs the loop.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "backend/backend.h"
#include "base/result.h"

namespace airlock::runner {

enum class Stream { kStdout, kStderr };

class OutputSink {
 public:
  virtual ~OutputSink() = default;
  // Takes a prefix of `bytes` and says how long it was. Never blocks: 0 means "not now", which only
  // a sink with a writable_fd may say.
  virtual base::Result<std::size_t> write_some(Stream stream, std::string_view bytes) = 0;
  // What to poll for POLLOUT before the next write_some; -1: it can take bytes at any time.
  virtual int writable_fd(Stream stream) const = 0;
};

// Keeps everything in memory. The cap on the stream is the cap on the memory.
class CaptureSink final : public OutputSink {
 public:
  base::Result<std::size_t> write_some(Stream stream, std::string_view bytes) override {
    (stream == Stream::kStdout ? stdout_bytes : stderr_bytes).append(bytes);
    return bytes.size();
  }
  int writable_fd(Stream) const override { return -1; }

  std::string stdout_bytes;
  std::string stderr_bytes;
};

class FileSink {
 public:
  virtual ~FileSink() = default;
  // Takes one collected file. An error is reported as a refused output, named `file.path`.
  virtual base::Status take(const backend::CollectedFile& file) = 0;
};

}  // namespace airlock::runner
