#include "apps/airlock/stream_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace airlock::apps {
namespace {

using runner::Stream;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_end = base::UniqueFd(ends[0]);
    write_end = base::UniqueFd(ends[1]);
  }
  base::UniqueFd read_end;
  base::UniqueFd write_end;
};

std::string read_from(int fd) {
  char buffer[4096];
  const ssize_t count = ::read(fd, buffer, sizeof buffer);
  return {buffer, count > 0 ? static_cast<std::size_t>(count) : 0};
}

TEST(StreamSinkTest, PipeGetsEveryByteUnchanged) {
  Pipe out;
  Pipe err;
  StreamSink sink(out.write_end.get(), err.write_end.get(), TerminalUse::kPlain);
  const std::string_view bytes("\x1b]52;c;x\x07\0\xff", 11);
  EXPECT_EQ(sink.write_some(Stream::kStdout, bytes), bytes.size());
  EXPECT_EQ(sink.write_some(Stream::kStderr, "err"), 3u);
  EXPECT_EQ(read_from(out.read_end.get()), bytes);
  EXPECT_EQ(read_from(err.read_end.get()), "err");
  EXPECT_EQ(sink.head(Stream::kStderr), "err");
}

TEST(StreamSinkTest, FullPipeNeverBlocks) {
  Pipe out;
  StreamSink sink(out.write_end.get(), out.write_end.get(), TerminalUse::kPlain);
  const std::string piece(4096, 'x');
  std::size_t total = 0;
  for (;;) {
    const auto count = sink.write_some(Stream::kStdout, piece);
    ASSERT_TRUE(count);
    if (*count == 0) break;
    total += *count;
  }
  EXPECT_GE(total, 4096u);
  EXPECT_EQ(sink.writable_fd(Stream::kStdout), out.write_end.get());
  EXPECT_EQ(::fcntl(out.write_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(StreamSinkTest, ClosedPipeIsAnError) {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe out;
  out.read_end.reset();
  StreamSink sink(out.write_end.get(), out.write_end.get(), TerminalUse::kPlain);
  EXPECT_FALSE(sink.write_some(Stream::kStdout, "x"));
}

TEST(StreamSinkTest, TerminalGetsNoClipboardButItsColoursAreReset) {
  int master = -1;
  int slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const base::UniqueFd master_fd(master);
  const base::UniqueFd slave_fd(slave);
  {
    StreamSink sink(slave, slave, TerminalUse::kPlain);
    ASSERT_TRUE(sink.write_some(Stream::kStdout, "\x1b]52;c;x\x07\x1b[31mred"));
  }
  // What was written in two parts may come out of a terminal in two.
  const std::string expected = "\x1b[31mred\x1b[0m";
  std::string text = read_from(master);
  while (text.size() < expected.size() && expected.starts_with(text)) text += read_from(master);
  EXPECT_EQ(text, expected);
}

}  // namespace
}  // namespace airlock::apps
