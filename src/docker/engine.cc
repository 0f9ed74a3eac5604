#include "docker/engine.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

namespace airlock::docker {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;

using base::UniqueFd;
using Stream = beast::basic_stream<asio::local::stream_protocol>;

constexpr std::size_t kChunkBytes = 256 * 1024;

auto unavailable(const std::string& path, const std::string& what) {
  return base::fail(base::ErrorCode::kUnavailable, "Docker at " + path + ": " + what,
                    "start dockerd, or name its socket by execution.docker_socket");
}

// One connection and what it is asked, to the end or to the timeout.
class Exchange {
 private:
  auto keep() {
    return [this](boost::system::error_code error) { error_ = error; };
  }
  auto keep_size() {
    return [this](boost::system::error_code error, std::size_t) { error_ = error; };
  }

 public:
  Exchange(const std::string& path, std::chrono::milliseconds timeout)
      : path_(path), timeout_(timeout), stream_(context_) {}

  base::Status open() {
    stream_.expires_after(timeout_);
    stream_.async_connect(asio::local::stream_protocol::endpoint(path_), keep());
    return run("connect");
  }

  template <typename Request>
  base::Status send(Request& request) {
    stream_.expires_after(timeout_);
    http::async_write(stream_, request, keep_size());
    return run("send");
  }

  base::Status send_bytes(std::string_view bytes) {
    stream_.expires_after(timeout_);
    asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()), keep_size());
    return run("send");
  }

  base::Result<Answer> receive() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(kAnswerBytesMax);
    stream_.expires_after(timeout_);
    http::async_read(stream_, buffer_, parser, keep_size());
    AIRLOCK_TRY(run("read"));
    Answer answer;
    answer.status = parser.get().result_int();
    boost::system::error_code error;
    answer.body = json::parse(parser.get().body(), error);
    if (error) answer.body = nullptr;
    return answer;
  }

  // The answer's head, after which the connection is a stream.
  base::Result<unsigned> receive_head() {
    http::response_parser<http::empty_body> parser;
    stream_.expires_after(timeout_);
    http::async_read_header(stream_, buffer_, parser, keep_size());
    AIRLOCK_TRY(run("read"));
    return parser.get().result_int();
  }

  // To its end, of which no more than the last `kept` bytes or so are kept.
  base::Result<std::string> receive_end(std::size_t kept) {
    std::string text(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    std::string chunk(kChunkBytes, '\0');
    while (true) {
      std::size_t count = 0;
      stream_.expires_after(timeout_);
      stream_.async_read_some(asio::buffer(chunk),
                              [&](boost::system::error_code error, std::size_t size) {
                                error_ = error;
                                count = size;
                              });
      const base::Status read = run("read");
      if (error_ == asio::error::eof) return text;
      AIRLOCK_TRY(read);
      text.append(chunk, 0, count);
      if (text.size() > 2 * kept) text.erase(0, text.size() - kept);
    }
  }

  bool has_more() const { return buffer_.size() > 0; }
  UniqueFd release() {
    stream_.expires_never();
    const int fd = stream_.release_socket().release();
    return UniqueFd(fd);
  }

 private:
  base::Status run(const char* what) {
    context_.restart();
    context_.run();
    if (!error_) return {};
    if (error_ == beast::error::timeout) {
      return unavailable(path_, "no answer within " + std::to_string(timeout_.count()) + " ms");
    }
    return unavailable(path_, std::string(what) + ": " + error_.message());
  }

  const std::string& path_;
  const std::chrono::milliseconds timeout_;  // of each step
  asio::io_context context_;
  Stream stream_;
  beast::flat_buffer buffer_;
  boost::system::error_code error_;
};

template <typename Body>
http::request<Body> make_request(http::verb verb, const std::string& target) {
  http::request<Body> request(verb, target, 11);
  request.set(http::field::host, "docker");
  request.set(http::field::user_agent, "airlock");
  return request;
}

// "1.9" is below "1.41".
bool is_below(std::string_view a, std::string_view b) {
  const auto minor = [](std::string_view text) {
    int value = 0;
    const std::size_t dot = text.find('.');
    if (dot != std::string_view::npos) {
      std::from_chars(text.data() + dot + 1, text.data() + text.size(), value);
    }
    return value;
  };
  return minor(a) < minor(b);
}

}  // namespace

std::string Answer::message() const {
  if (const json::object* const object = body.if_object()) {
    if (const json::value* const said = object->if_contains("message")) {
      if (said->is_string()) return std::string(said->as_string());
    }
  }
  return "status " + std::to_string(status);
}

base::Result<Engine> Engine::connect(const std::string& address,
                                     std::chrono::milliseconds timeout) {
  constexpr std::string_view kScheme = "unix://";
  Engine engine;
  engine.path_ = address.starts_with(kScheme) ? address.substr(kScheme.size()) : address;
  if (engine.path_.empty() || engine.path_[0] != '/' ||
      engine.path_.size() >= sizeof(sockaddr_un::sun_path)) {
    return base::fail(base::ErrorCode::kInvalidArgument,
                      "the socket of Docker is a path or unix:///PATH, not " + address);
  }
  engine.timeout_ = std::min<std::chrono::milliseconds>(timeout, kVersionTimeout);
  AIRLOCK_ASSIGN(const Answer answer, engine.call("GET", "/version", nullptr));
  engine.timeout_ = timeout;
  const json::object* const said = answer.body.if_object();
  const json::value* const version = said != nullptr ? said->if_contains("ApiVersion") : nullptr;
  if (answer.status != 200 || version == nullptr || !version->is_string()) {
    return unavailable(engine.path_, "no Docker answers: " + answer.message());
  }
  const std::string theirs(version->as_string());
  engine.version_ = is_below(theirs, kApiVersion) ? theirs : std::string(kApiVersion);
  return engine;
}

base::Result<Answer> Engine::call(std::string_view verb, const std::string& target,
                                  const json::object* body) const {
  Exchange exchange(path_, timeout_);
  AIRLOCK_TRY(exchange.open());
  const std::string prefix = version_.empty() ? "" : "/v" + version_;
  auto request = make_request<http::string_body>(http::string_to_verb(verb), prefix + target);
  request.keep_alive(false);
  if (body != nullptr) {
    request.set(http::field::content_type, "application/json");
    request.body() = json::serialize(*body);
  }
  request.prepare_payload();
  AIRLOCK_TRY(exchange.send(request));
  return exchange.receive();
}

base::Result<Answer> Engine::get(const std::string& target) const {
  return call("GET", target, nullptr);
}
base::Result<Answer> Engine::post(const std::string& target, const json::object& body) const {
  return call("POST", target, &body);
}
base::Result<Answer> Engine::remove(const std::string& target) const {
  return call("DELETE", target, nullptr);
}

base::Result<Answer> Engine::put_tar(const std::string& target, std::string_view head,
                                     const UniqueFd& content, std::uint64_t size,
                                     std::string_view tail) const {
  Exchange exchange(path_, timeout_);
  AIRLOCK_TRY(exchange.open());
  auto request = make_request<http::empty_body>(http::verb::put, "/v" + version_ + target);
  request.keep_alive(false);
  request.set(http::field::content_type, "application/x-tar");
  request.content_length(head.size() + size + tail.size());
  AIRLOCK_TRY(exchange.send(request));
  AIRLOCK_TRY(exchange.send_bytes(head));
  std::string chunk(kChunkBytes, '\0');
  for (std::uint64_t done = 0; done < size;) {
    const std::size_t wanted = std::min<std::uint64_t>(size - done, kChunkBytes);
    const ssize_t count = pread(content.get(), chunk.data(), wanted, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    // A file that became shorter: the rest is what it would read as.
    const std::size_t got = count > 0 ? static_cast<std::size_t>(count) : wanted;
    if (count <= 0) std::fill_n(chunk.begin(), wanted, '\0');
    AIRLOCK_TRY(exchange.send_bytes(std::string_view(chunk.data(), got)));
    done += got;
  }
  AIRLOCK_TRY(exchange.send_bytes(tail));
  return exchange.receive();
}

base::Result<Answer> Engine::put_tar(const std::string& target, std::string_view tar) const {
  return put_tar(target, tar, UniqueFd(), 0, {});
}

base::Status Engine::pull(const std::string& image) const {
  constexpr std::size_t kEndBytes = 16 * 1024;
  Exchange exchange(path_, timeout_);
  AIRLOCK_TRY(exchange.open());
  auto request = make_request<http::empty_body>(
      http::verb::post, "/v" + version_ + "/images/create?fromImage=" + image);
  request.keep_alive(false);
  request.content_length(0);
  AIRLOCK_TRY(exchange.send(request));
  AIRLOCK_ASSIGN(const unsigned status, exchange.receive_head());
  AIRLOCK_ASSIGN(const std::string end, exchange.receive_end(kEndBytes));
  std::string error = status == 200 ? "" : "status " + std::to_string(status);
  // One object a line: how far it is, or what went wrong, after which nothing more comes.
  for (std::size_t at = 0; at < end.size();) {
    const std::size_t stop = std::min(end.find('\n', at), end.size());
    boost::system::error_code unreadable;
    const json::value line = json::parse(std::string_view(end).substr(at, stop - at), unreadable);
    for (const char* const name : {"error", "message"}) {
      const json::object* const object = unreadable ? nullptr : line.if_object();
      const json::value* const said = object != nullptr ? object->if_contains(name) : nullptr;
      if (said != nullptr && said->is_string()) error = std::string(said->as_string());
    }
    at = stop + 1;
  }
  if (error.empty()) return {};
  return base::fail(base::ErrorCode::kUnavailable, "Docker: pull " + image + ": " + error);
}

base::Result<UniqueFd> Engine::attach(const std::string& container) const {
  Exchange exchange(path_, timeout_);
  AIRLOCK_TRY(exchange.open());
  auto request = make_request<http::empty_body>(
      http::verb::post,
      "/v" + version_ + "/containers/" + container + "/attach?stream=1&stdin=1&stdout=1&stderr=1");
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::upgrade, "tcp");
  request.content_length(0);
  AIRLOCK_TRY(exchange.send(request));
  AIRLOCK_ASSIGN(const unsigned status, exchange.receive_head());
  if ((status != 101 && status != 200) || exchange.has_more()) {
    return unavailable(path_, "attach: status " + std::to_string(status));
  }
  return exchange.release();
}

bool unwrap(std::string* wrapped, std::string* plain, std::string* other) {
  constexpr std::size_t kHead = 8;
  constexpr unsigned char kStdout = 1;
  constexpr unsigned char kStderr = 2;
  std::size_t at = 0;
  while (wrapped->size() - at >= kHead) {
    const auto* const head = reinterpret_cast<const unsigned char*>(wrapped->data() + at);
    const std::size_t size = static_cast<std::size_t>(head[4]) << 24 |
                             static_cast<std::size_t>(head[5]) << 16 |
                             static_cast<std::size_t>(head[6]) << 8 | head[7];
    if (head[0] > kStderr || size > kAnswerBytesMax) return false;
    if (wrapped->size() - at - kHead < size) break;
    if (head[0] == kStdout) plain->append(*wrapped, at + kHead, size);
    if (head[0] == kStderr) other->append(*wrapped, at + kHead, size);
    at += kHead + size;
  }
  wrapped->erase(0, at);
  return true;
}

}  // namespace airlock::docker
