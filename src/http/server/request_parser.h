// RequestParser: bytes of a connection become requests. The one file that knows Beast.
//
// Feed it with what was read; it takes what belongs to the current request and leaves the rest to
// the next one. What is malformed, too large or ambiguous (two lengths, a length beside chunks, two
// Hosts) is refused with a status; the connection cannot go on after that. Never reads or writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/server/message.h"

namespace airlock::http {

struct ParserLimits {
  std::uint32_t header_bytes_max = 16 * 1024;  // request line and all headers
  std::uint64_t body_bytes_max = 32 * 1024 * 1024;
  std::size_t headers_max = 100;
};

struct ParseFailure {
  int status = 0;  // 400, 413, 431 or 505; 0: none
  std::string message;
};

class RequestParser {
 public:
  explicit RequestParser(const ParserLimits& limits);
  ~RequestParser();

  // How many of `bytes` belong to this request; fewer than all when it is complete or has failed.
  std::size_t feed(std::string_view bytes);
  // Anything came of it.
  bool started() const { return started_; }
  bool head_complete() const;
  bool complete() const;
  std::size_t body_bytes() const;           // what has come of the body
  std::size_t body_bytes_declared() const;  // what is to come, if the head has said it, else 0
  const ParseFailure& failure() const { return failure_; }
  // The client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;
  // The head, once it is complete: everything but the body.
  const Request& head();
  // The whole; the parser is of no use afterwards.
  Request take();

 private:
  struct State;
  bool awaits_first_chunk() const;
  void fill_head();
  void check_head();

  ParserLimits limits_;
  std::unique_ptr<State> state_;
  Request request_;
  ParseFailure failure_;
  bool started_ = false;
  bool head_filled_ = false;
};

}  // namespace airlock::http
