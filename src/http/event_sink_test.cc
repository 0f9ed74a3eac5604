#include "http/event_sink.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace airlock::http {
namespace {

using runner::Stream;

bool has_room(const EventSink& sink) {
  pollfd set = {sink.writable_fd(Stream::kStdout), POLLOUT, 0};
  return ::poll(&set, 1, 0) == 1;
}

TEST(EventSinkTest, PiecesKeepTheirOrder) {
  int rung = 0;
  EventSink sink([&] { ++rung; });
  ASSERT_EQ(*sink.write_some(Stream::kStdout, "a"), 1u);
  ASSERT_EQ(*sink.write_some(Stream::kStdout, "b"), 1u);
  ASSERT_EQ(*sink.write_some(Stream::kStderr, "c"), 1u);
  ASSERT_EQ(*sink.write_some(Stream::kStdout, "d"), 1u);
  EXPECT_EQ(rung, 1);  // until somebody has looked
  const auto pieces = sink.take();
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].bytes, "ab");
  EXPECT_EQ(pieces[1].stream, Stream::kStderr);
  EXPECT_EQ(pieces[2].bytes, "d");
  EXPECT_TRUE(sink.take().empty());
}

TEST(EventSinkTest, WhoReadsSlowlyStopsTheProgramAndNothingGrows) {
  EventSink sink([] {});
  const std::string much(kEventBytesMax - 1, 'x');
  EXPECT_EQ(*sink.write_some(Stream::kStdout, much), much.size());
  EXPECT_TRUE(has_room(sink));
  EXPECT_EQ(*sink.write_some(Stream::kStdout, "yz"), 1u);
  EXPECT_FALSE(has_room(sink));
  EXPECT_EQ(*sink.write_some(Stream::kStdout, "z"), 0u);
  EXPECT_EQ(sink.take().size(), 1u);
  EXPECT_TRUE(has_room(sink));
  EXPECT_EQ(*sink.write_some(Stream::kStdout, "z"), 1u);
}

TEST(EventSinkTest, AReaderThatIsGoneIsAnError) {
  EventSink sink([] {});
  ASSERT_TRUE(sink.write_some(Stream::kStdout, std::string(2 * kEventBytesMax, 'x')));
  EXPECT_FALSE(has_room(sink));
  sink.close();
  EXPECT_TRUE(has_room(sink));  // so that the one who waits for room learns it
  EXPECT_FALSE(sink.write_some(Stream::kStdout, "x"));
}

}  // namespace
}  // namespace airlock::http
