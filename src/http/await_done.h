// await_done: a call that answers through a callback on any thread, awaited on the server's.
//
//   const auto page = co_await await_done<store::JobPage>(
//       exchange.executor(), [&](auto done) { jobs.list(filter, std::move(done)); });
//
// The callback may outlive the coroutine's wait for nothing: the coroutine always waits for it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/result.h"

namespace airlock::http {

template <typename T>
boost::asio::awaitable<base::Result<T>> await_done(
    boost::asio::any_io_executor executor,
    std::function<void(std::function<void(base::Result<T>)>)> call) {
  namespace asio = boost::asio;
  struct Pending {
    explicit Pending(const asio::any_io_executor& on) : bell(on) {}
    asio::steady_timer bell;
    std::optional<base::Result<T>> answer;
  };
  auto pending = std::make_shared<Pending>(executor);
  pending->bell.expires_at(asio::steady_timer::time_point::max());
  call([pending, executor](base::Result<T> answer) {
    auto held = std::make_shared<base::Result<T>>(std::move(answer));
    asio::post(executor, [pending, held] {
      pending->answer = std::move(*held);
      pending->bell.cancel();
    });
  });
  while (!pending->answer) {
    boost::system::error_code error;
    co_await pending->bell.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  co_return std::move(*pending->answer);
}

}  // namespace airlock::http
