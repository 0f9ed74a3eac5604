// Background: two threads for what would hold up the server's one thread: reading and writing large
// JSON, compressing, asking tools for their versions.
//
// The coroutine that waits goes on on its own executor; what the work borrows from its frame lives
// until then. An exception of the work comes out of run(). Ends when the work that was begun has.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <functional>

namespace airlock::http {

// Up to so many bytes are better worked on where they are: it takes a tenth of a millisecond.
inline constexpr std::size_t kSmallWorkBytes = 64 * 1024;

class Background {
 public:
  boost::asio::awaitable<void> run(std::function<void()> work);

 private:
  boost::asio::thread_pool threads_{2};
};

}  // namespace airlock::http
