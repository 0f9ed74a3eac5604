#include "runner/pumps.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

namespace airlock::runner {
namespace {

struct Ends {
  base::UniqueFd read_end;
  base::UniqueFd write_end;
};

Ends open_pipe() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  return {base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

void put(const base::UniqueFd& fd, std::string_view text) {
  ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

// Takes `room` bytes, then says "not now".
class NarrowSink final : public OutputSink {
 public:
  explicit NarrowSink(int fd) : fd_(fd) {}
  base::Result<std::size_t> write_some(Stream, std::string_view bytes) override {
    const std::size_t count = std::min(room, bytes.size());
    taken.append(bytes.substr(0, count));
    room -= count;
    return count;
  }
  int writable_fd(Stream) const override { return fd_; }

  std::size_t room = 0;
  std::string taken;

 private:
  int fd_;
};

TEST(OutputPumpTest, ExactlyTheCapIsNotTruncated) {
  Ends pipe = open_pipe();
  CaptureSink sink;
  OutputPump pump(Stream::kStdout, sink, base::ByteCount(4));
  pump.start(std::move(pipe.read_end));
  put(pipe.write_end, "1234");
  ASSERT_TRUE(pump.advance());
  pipe.write_end.reset();
  ASSERT_TRUE(pump.advance());
  EXPECT_TRUE(pump.done());
  EXPECT_FALSE(pump.truncated());
  EXPECT_EQ(sink.stdout_bytes, "1234");
}

TEST(OutputPumpTest, OneByteMoreIsTruncatedAndTheRestIsDropped) {
  Ends pipe = open_pipe();
  CaptureSink sink;
  OutputPump pump(Stream::kStderr, sink, base::ByteCount(4));
  pump.start(std::move(pipe.read_end));
  put(pipe.write_end, "12345");
  ASSERT_TRUE(pump.advance());
  put(pipe.write_end, "678");
  ASSERT_TRUE(pump.advance());
  EXPECT_TRUE(pump.truncated());
  EXPECT_EQ(sink.stderr_bytes, "1234");
}

TEST(OutputPumpTest, SlowSinkStopsTheReading) {
  Ends pipe = open_pipe();
  NarrowSink sink(pipe.write_end.get());
  sink.room = 2;
  OutputPump pump(Stream::kStdout, sink, base::ByteCount(100));
  const int reading = pipe.read_end.get();
  pump.start(std::move(pipe.read_end));
  put(pipe.write_end, "abcd");
  ASSERT_TRUE(pump.advance());
  EXPECT_EQ(pump.interest().events, POLLOUT);
  EXPECT_NE(pump.interest().fd, reading);
  sink.room = 10;
  ASSERT_TRUE(pump.advance());
  EXPECT_EQ(sink.taken, "abcd");
  EXPECT_EQ(pump.interest().fd, reading);
}

TEST(OutputPumpTest, ForgottenWriterDoesNotKeepItOpen) {
  Ends pipe = open_pipe();
  CaptureSink sink;
  OutputPump pump(Stream::kStdout, sink, base::ByteCount(100));
  pump.start(std::move(pipe.read_end));
  put(pipe.write_end, "last words");
  pump.writers_are_gone();
  ASSERT_TRUE(pump.advance());
  ASSERT_TRUE(pump.advance());
  EXPECT_TRUE(pump.done());
  EXPECT_EQ(sink.stdout_bytes, "last words");
}

TEST(InputPumpTest, EndOfTheSourceClosesTheGuestsStdin) {
  Ends source = open_pipe();
  Ends guest = open_pipe();
  InputPump pump;
  pump.start(source.read_end.get(), std::move(guest.write_end));
  put(source.write_end, "in");
  source.write_end.reset();
  pump.advance(POLLIN);
  pump.advance(POLLHUP);
  EXPECT_TRUE(pump.done());
  char buffer[8];
  EXPECT_EQ(::read(guest.read_end.get(), buffer, sizeof buffer), 2);
  EXPECT_EQ(::read(guest.read_end.get(), buffer, sizeof buffer), 0);
}

TEST(InputPumpTest, GuestThatReadsNoMoreEndsThePump) {
  ::signal(SIGPIPE, SIG_IGN);
  Ends source = open_pipe();
  Ends guest = open_pipe();
  InputPump pump;
  pump.start(source.read_end.get(), std::move(guest.write_end));
  guest.read_end.reset();
  put(source.write_end, "in");
  pump.advance(POLLIN);
  EXPECT_TRUE(pump.done());
}

TEST(InputPumpTest, FullPipeKeepsWhatItHas) {
  Ends source = open_pipe();
  Ends guest = open_pipe();
  const std::string filler(65'536, 'x');
  put(guest.write_end, filler);
  InputPump pump;
  pump.start(source.read_end.get(), std::move(guest.write_end));
  put(source.write_end, "late");
  pump.advance(POLLIN);
  EXPECT_EQ(pump.interest().events, POLLOUT);
  std::string drained(65'536, '\0');
  EXPECT_EQ(::read(guest.read_end.get(), drained.data(), drained.size()), 65'536);
  pump.advance(POLLOUT);
  EXPECT_EQ(::read(guest.read_end.get(), drained.data(), drained.size()), 4);
}

}  // namespace
}  // namespace airlock::runner
