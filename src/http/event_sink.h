// EventSink: a program's output on its way from the thread that runs it to the server's thread.
//
// Holds up to kEventBytesMax; then the program waits, as it would before a slow terminal. Pieces
// keep their order within and between streams. write_some() on the worker's thread, all else on the
// server's; `news` may be called on either and has to be short.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "runner/output_sink.h"

namespace airlock::http {

inline constexpr std::size_t kEventBytesMax = 256 * 1024;

struct OutputPiece {
  runner::Stream stream = runner::Stream::kStdout;
  std::string bytes;
};

class EventSink final : public runner::OutputSink {
 public:
  explicit EventSink(std::function<void()> news);
  // False where no descriptor was left: then it must not be used.
  bool valid() const { return writable_.valid(); }

  base::Result<std::size_t> write_some(runner::Stream stream, std::string_view bytes) override;
  int writable_fd(runner::Stream stream) const override;

  std::vector<OutputPiece> take();
  // Nobody reads any more: the next write fails, which ends the run.
  void close();

 private:
  void make_writable(bool writable);

  std::function<void()> news_;
  base::UniqueFd writable_;  // an eventfd: writable when there is room
  std::mutex mutex_;
  std::vector<OutputPiece> pieces_;
  std::size_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace airlock::http
