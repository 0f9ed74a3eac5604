#include "egress/http_body.h"

#include <gtest/gtest.h>

namespace airlock::egress {
namespace {

constexpr BodyFraming kChunked{BodyKind::kChunked, 0};

TEST(Body, OfALengthEndsThere) {
  BodyScanner body({BodyKind::kLength, 5});
  EXPECT_EQ(body.take("abc"), 3u);
  EXPECT_FALSE(body.done());
  EXPECT_EQ(body.take("deGET /"), 2u);
  EXPECT_TRUE(body.done());
  EXPECT_EQ(body.take("x"), 0u);
  EXPECT_TRUE(BodyScanner({BodyKind::kLength, 0}).done());
  EXPECT_TRUE(BodyScanner({BodyKind::kNone, 0}).done());
}

TEST(Body, OfChunksEndsAfterTheLastOneHoweverItIsCut) {
  const std::string text = "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size() + 4; ++piece) {
    BodyScanner body(kChunked);
    const std::string all = text + "NEXT";
    std::size_t at = 0;
    while (at < all.size() && !body.done()) {
      const std::size_t taken = body.take(std::string_view(all).substr(at, piece));
      ASSERT_FALSE(body.broken());
      ASSERT_GT(taken, 0u);
      at += taken;
    }
    EXPECT_EQ(at, text.size()) << piece;
  }
}

TEST(Body, OfChunksThatAreReadDifferentlyByOthersIsBroken) {
  for (const char* text :
       {"\r\n", "g\r\n", "5;ext=1\r\nhello\r\n", "5 \r\nhello\r\n", " 5\r\n", "5\nhello",
        "5\r\nhelloX", "5\r\nhello\n", "0\r\nTrailer: x\r\n\r\n", "-1\r\n", "0x5\r\n", "+5\r\n",
        "00000000000005\r\n", "ffffffffffffffff\r\n", "5\r\r\nhello"}) {
    BodyScanner body(kChunked);
    body.take(text);
    EXPECT_TRUE(body.broken()) << text;
    EXPECT_FALSE(body.done()) << text;
  }
}

}  // namespace
}  // namespace airlock::egress
