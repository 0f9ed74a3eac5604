// Moving bytes between two sockets, one way at a time, without holding more than a piece of them.
//
// The reader is not read while the writer is full. Small amounts are copied; what turns out to be
// much goes through a pipe inside of the kernel (splice). Pipes come from a pool and go back as
// soon as they are empty, so that ten thousand quiet connections hold none. For one thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace airlock::egress {

struct Pipe {
  base::UniqueFd reader;
  base::UniqueFd writer;
};

class PipePool {
 public:
  // Nullopt: so many are in use, or the kernel has no more. `give_back` only what is empty.
  std::optional<Pipe> take();
  void give_back(Pipe pipe);
  // For one that had to be closed.
  void lost() { --made_; }

 private:
  std::vector<Pipe> free_;
  std::size_t made_ = 0;
};

// Told of everything that is about to be passed on.
class Meter {
 public:
  virtual ~Meter() = default;
  // False: it must not be; the relay ends.
  virtual bool pass(std::size_t bytes) = 0;
  // Something moved.
  virtual void touch() = 0;
};

// Whether `socket` may be read or written without waiting, or has failed. False: it was closed.
boost::asio::awaitable<bool> wait_readable(boost::asio::ip::tcp::socket& socket);
boost::asio::awaitable<bool> wait_writable(boost::asio::ip::tcp::socket& socket);

// How many bytes were read; 0 at the end, -1 for a failure.
boost::asio::awaitable<long> read_some(boost::asio::ip::tcp::socket& socket, char* buffer,
                                       std::size_t size);
boost::asio::awaitable<bool> write_all(boost::asio::ip::tcp::socket& socket, std::string_view bytes,
                                       Meter& meter);

// Until `from` ends, and then says so to `to`. False: something failed, or the meter said no.
boost::asio::awaitable<bool> relay(boost::asio::ip::tcp::socket& from,
                                   boost::asio::ip::tcp::socket& to, Meter& meter, PipePool& pipes);

}  // namespace airlock::egress
