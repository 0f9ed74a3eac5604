#include "http/background.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace airlock::http {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> call(std::function<void()> work) {
  work();
  co_return;
}

}  // namespace

asio::awaitable<void> Background::run(std::function<void()> work) {
  return asio::co_spawn(threads_, call(std::move(work)), asio::use_awaitable);
}

}  // namespace airlock::http
