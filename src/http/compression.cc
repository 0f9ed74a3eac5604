#include "http/compression.h"

#include <string>
#include <utility>

#include "http/gzip.h"

namespace airlock::http {

namespace asio = boost::asio;

asio::awaitable<void> compress_for(const Request& head, Response& response,
                                   Background& background) {
  const std::size_t size = response.body.size();
  if (size < kGzipBytesMin || !accepts_gzip(head.header("Accept-Encoding"))) co_return;
  std::string packed;
  if (size > kSmallWorkBytes) {
    co_await background.run([&] { packed = gzip(response.body); });
  } else {
    packed = gzip(response.body);
  }
  if (packed.empty()) co_return;
  response.body = std::move(packed);
  response.headers.push_back({"Content-Encoding", "gzip"});
  response.headers.push_back({"Vary", "Accept-Encoding"});
}

}  // namespace airlock::http
