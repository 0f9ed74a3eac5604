// StreamSink: a run's output to our own stdout and stderr, as it comes.
//
// Never blocks while the run goes on, and never touches the flags of the descriptors, which belong
// to the shell as much as to us: it asks poll first and writes no more than a pipe is sure to take.
// A terminal gets its bytes through a TerminalFilter, a pipe or a file gets them unchanged.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "apps/airlock/terminal_filter.h"
#include "runner/output_sink.h"

namespace airlock::apps {

class StreamSink final : public runner::OutputSink {
 public:
  // Descriptors are borrowed. A compiler's messages all go to stderr: pass 2 twice.
  StreamSink(int stdout_fd, int stderr_fd, TerminalUse use);
  ~StreamSink() override { finish(); }

  base::Result<std::size_t> write_some(runner::Stream stream, std::string_view bytes) override;
  int writable_fd(runner::Stream stream) const override;
  // The first kHeadBytesMax bytes of a stream.
  std::string_view head(runner::Stream stream) const {
    return stream == runner::Stream::kStdout ? stdout_.head : stderr_.head;
  }
  // Writes what is left, waiting for it, and puts a terminal back in order. A reader that is gone
  // is no error any more.
  void finish();

 private:
  enum class Kind { kFile, kPipe, kSocket, kTerminal };
  struct Target {
    Target(int descriptor, TerminalUse use);
    base::Result<std::size_t> write_ready(std::string_view bytes);

    int fd;
    Kind kind;
    std::optional<TerminalFilter> filter;
    std::string filtered;  // not yet written
    std::string head;
  };

  Target& target_of(runner::Stream stream) {
    return stream == runner::Stream::kStdout ? stdout_ : stderr_;
  }

  base::Result<std::size_t> write_to(Target& target, std::string_view bytes);

  static constexpr std::size_t kHeadBytesMax = 1'024;

  Target stdout_;
  Target stderr_;
};

}  // namespace airlock::apps
