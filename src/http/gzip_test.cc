#include "http/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace airlock::http {
namespace {

std::string unpacked(std::string packed, std::size_t size) {
  std::string text(size + 1, '\0');
  z_stream stream{};
  EXPECT_EQ(::inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(::inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0u);
  text.resize(stream.total_out);
  ::inflateEnd(&stream);
  return text;
}

TEST(GzipTest, WhatIsPackedComesOutAgain) {
  std::string noise;
  for (unsigned i = 0; i < 300'000; ++i) noise += static_cast<char>(i * 2'654'435'761u >> 24);
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string(1 << 20, 'a'), noise}) {
    EXPECT_EQ(unpacked(gzip(text), text.size()), text);
  }
  EXPECT_LT(gzip(std::string(1 << 20, 'a')).size(), 10'000u);
}

TEST(GzipTest, AClientSaysWhetherItTakesGzip) {
  for (const char* const header : {"gzip", "deflate, gzip", "GZIP;q=0.5", "br;q=1.0, gzip ;q=0.001",
                                   "*", "identity;q=0, *;q=0.1", "gzip;level=1"}) {
    EXPECT_TRUE(accepts_gzip(header)) << header;
  }
  for (const char* const header : {"", "identity", "br", "gzip;q=0", "gzip; Q=0.000", "*;q=0",
                                   "gzip;q=0, *", "xgzip", "deflate;gzip"}) {
    EXPECT_FALSE(accepts_gzip(header)) << header;
  }
}

}  // namespace
}  // namespace airlock::http
