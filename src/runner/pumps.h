// OutputPump and InputPump: one stream each, one buffer each, never blocking, never more than the
// cap.
//
// The guest's ends are pipes (or a pty) made for it; the caller's own descriptors never enter the
// sandbox and their file status flags are never touched, because they are shared with the shell.
// SIGPIPE must be ignored by the process.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "runner/output_sink.h"

namespace airlock::runner {

inline constexpr std::size_t kPumpBufferBytes = 64 * 1024;

// What a pump waits for; fd -1: nothing.
struct PollInterest {
  int fd = -1;
  short events = 0;
};

// Guest -> sink. Bytes beyond the cap are read and dropped, so that a writer never hangs on us.
class OutputPump {
 public:
  // `sink` outlives the pump, which has nothing to do until it is started.
  OutputPump(Stream stream, OutputSink& sink, base::ByteCount cap)
      : stream_(stream), sink_(sink), cap_(cap) {}

  // `from` is non-blocking.
  void start(base::UniqueFd from);
  bool done() const { return ended_ && pending_.empty(); }
  bool truncated() const { return truncated_; }
  PollInterest interest() const;
  // Reads what is there and gives it to the sink. An error is the sink's: its reader is gone.
  base::Status advance();
  // Nobody writes any more: an empty pipe is an ended one, even if someone forgot to close it.
  void writers_are_gone() { writers_gone_ = true; }
  // Whatever is still to come is dropped.
  void discard();

 private:
  void read_some();
  base::Status flush();

  base::UniqueFd from_;
  Stream stream_;
  OutputSink& sink_;
  base::ByteCount cap_;
  std::uint64_t accepted_bytes_ = 0;
  std::unique_ptr<char[]> buffer_;
  std::string_view pending_;  // in buffer_, not yet taken by the sink
  bool ended_ = true;
  bool writers_gone_ = false;
  bool truncated_ = false;
  bool discarding_ = false;
};

// Caller -> guest. Ends (and closes the guest's stdin) at the end of the source.
class InputPump {
 public:
  // `source` is borrowed and may be anything that poll(2) takes; `to` is non-blocking.
  void start(int source, base::UniqueFd to);
  bool done() const { return !to_.valid(); }
  PollInterest interest() const;
  void advance(short events_seen);

 private:
  int source_ = -1;
  base::UniqueFd to_;
  std::unique_ptr<char[]> buffer_;
  std::string_view pending_;
  bool source_ended_ = false;
};

}  // namespace airlock::runner
