// ScriptedServer: an HTTP server of the tests that does what a script says, also what is wrong.
//
// Listens on loopback, on a port of the kernel's choice, with one thread and one connection at a
// time. The script is called for each request and gives the raw bytes to send; requests are kept.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace airlock::artifact {

struct SeenRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  std::chrono::steady_clock::time_point at;
};

struct ScriptedAnswer {
  std::string bytes;
  bool closes = false;  // the connection, right after
  bool hangs = false;   // until the client or the test goes
};

inline ScriptedAnswer answer(int status, const std::string& headers, const std::string& body) {
  return {"HTTP/1.1 " + std::to_string(status) + " Status\r\n" + headers +
          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body};
}
inline ScriptedAnswer refusal(int status, const std::string& code,
                              const std::string& headers = {}) {
  return answer(status, headers, "<Error><Code>" + code + "</Code><Message>m</Message></Error>");
}

class ScriptedServer {
 public:
  using Script = std::function<ScriptedAnswer(const SeenRequest& request, std::size_t number)>;

  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    EXPECT_EQ(::getsockname(listener_.get(), generic, &size), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    stops_ = true;
    thread_.join();
  }

  const std::string& url() const { return url_; }
  std::vector<SeenRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  bool wait_readable(int fd) const {
    while (!stops_) {
      pollfd event{.fd = fd, .events = POLLIN, .revents = 0};
      if (::poll(&event, 1, 20) > 0) return true;
    }
    return false;
  }

  void serve() {
    while (wait_readable(listener_.get())) {
      const base::UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::string buffer;
      while (client.valid() && serve_one(client.get(), buffer)) {}
    }
  }

  bool read_more(int fd, std::string& buffer) const {
    char piece[16'384];
    if (!wait_readable(fd)) return false;
    const ssize_t got = ::read(fd, piece, sizeof piece);
    if (got > 0) buffer.append(piece, static_cast<std::size_t>(got));
    return got > 0;
  }

  static void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  static SeenRequest parse(std::string_view head) {
    SeenRequest request;
    request.at = std::chrono::steady_clock::now();
    const std::string line(head.substr(0, head.find("\r\n")));
    const std::size_t first = line.find(' ');
    request.method = line.substr(0, first);
    request.target = line.substr(first + 1, line.rfind(' ') - first - 1);
    head.remove_prefix(line.size() + 2);
    while (!head.empty()) {
      const std::size_t end = std::min(head.find("\r\n"), head.size());
      const std::string_view field = head.substr(0, end);
      const std::size_t colon = field.find(": ");
      if (colon != std::string_view::npos) {
        std::string name(field.substr(0, colon));
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        request.headers[name] = field.substr(colon + 2);
      }
      head.remove_prefix(std::min(end + 2, head.size()));
    }
    return request;
  }

  bool serve_one(int fd, std::string& buffer) {
    std::size_t end = std::string::npos;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more(fd, buffer)) return false;
    }
    SeenRequest request = parse(std::string_view(buffer).substr(0, end + 2));
    buffer.erase(0, end + 4);
    if (request.headers.contains("expect")) send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    const std::size_t size = std::strtoull(request.headers["content-length"].c_str(), nullptr, 10);
    while (buffer.size() < size) {
      if (!read_more(fd, buffer)) return false;
    }
    request.body = buffer.substr(0, size);
    buffer.erase(0, size);
    std::size_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = requests_.size();
      requests_.push_back(request);
    }
    const ScriptedAnswer reply = script_(request, number);
    send_all(fd, reply.bytes);
    if (reply.hangs) {
      while (read_more(fd, buffer)) {}
    }
    return !reply.closes && !reply.hangs;
  }

  Script script_;
  base::UniqueFd listener_;
  std::string url_;
  mutable std::mutex mutex_;
  std::vector<SeenRequest> requests_;
  std::atomic<bool> stops_ = false;
  std::thread thread_;
};

}  // namespace airlock::artifact
