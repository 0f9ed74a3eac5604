// BodyScanner: finds where the body of an HTTP/1 message ends, while its bytes pass through.
//
// Chunks are read strictly: a size in hexadecimal, CRLF, that many bytes, CRLF. Extensions and
// trailers are refused, because they are where readers differ. Keeps no bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "egress/http_head.h"

namespace airlock::egress {

class BodyScanner {
 public:
  explicit BodyScanner(BodyFraming framing);

  // How many of `bytes` belong to the body. Fewer than all: it ended there, or it is broken.
  std::size_t take(std::string_view bytes);
  bool done() const { return state_ == State::kDone; }
  bool broken() const { return state_ == State::kBroken; }
  bool until_close() const { return state_ == State::kUntilClose; }

 private:
  enum class State {
    kDone,
    kBroken,
    kUntilClose,
    kPlain,
    kSize,
    kSizeEnd,
    kData,
    kDataCr,
    kDataLf,
    kLastCr,
    kLastLf
  };
  void step(char c);
  void add_digit(char c);

  State state_;
  std::uint64_t left_ = 0;    // bytes of the body or the chunk
  std::uint32_t digits_ = 0;  // of the size so far
};

}  // namespace airlock::egress
