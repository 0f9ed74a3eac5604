// Transport: the bytes of one connection, whatever they travel on.
//
// Virtual on purpose: what is above it is compiled once and not once for each kind of stream. All
// calls from the server's one thread; at most one read and one write at a time. Close ends what
// waits. Lifetimes: buffers live until the awaited call returns.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace airlock::http {

class Transport {
 public:
  virtual ~Transport() = default;
  // 0: the peer has closed, the connection was closed, or it failed. `buffer` may be shared by all
  // connections: it is written to right before the call returns, and not while it waits.
  virtual boost::asio::awaitable<std::size_t> read_some(std::span<char> buffer) = 0;
  // Both, one after the other; false when the peer does not take them.
  virtual boost::asio::awaitable<bool> write_all(std::string_view first,
                                                 std::string_view second) = 0;
  // Calls `gone` once if the peer hangs up before watch_hangup({}) ends the watch. What it sends
  // meanwhile is kept for the next read; more than 64 KiB of it count as hanging up.
  virtual void watch_hangup(std::function<void()> gone) = 0;
  // What waits for bytes of the peer, or will, gets 0; writing goes on.
  virtual void end_reading() = 0;
  // Says that nothing more comes, and takes what the peer is still sending, up to 32 MiB: closing
  // on unread bytes would reset the connection, and the peer might never see the answer.
  virtual boost::asio::awaitable<void> close_gently() = 0;
  virtual void close() = 0;
};

}  // namespace airlock::http
