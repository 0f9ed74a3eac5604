// bench-http: runs asked for over HTTP, as a client with a kept connection does.
//
//   bench-http --port P --count N [--warmup W] [--workers C] [--path /v1/run] BODY-FILE
//
// C clients, each with a connection of its own, send the request in BODY-FILE N times and read the
// whole answer. A sample is the time from the first byte sent to the last one read. An answer that
// is no 200, or whose outcome is not "exited" with 0, counts as failed. Written against sockets,
// so that the client costs as little as it can. Prints
// {"samples_us": [...], "wall_s": s, "failed": n}.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace airlock::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int port = 0;
  int count = 0;
  int warmup = 0;
  int workers = 1;
  std::string path = "/v1/run";
  std::string body_file;
};

double microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

bool parse_options(int argc, char** argv, Options* options) {
  for (int at = 1; at + 1 < argc; at += 2) {
    const std::string_view name = argv[at];
    if (name == "--path") {
      options->path = argv[at + 1];
      continue;
    }
    const int value = std::atoi(argv[at + 1]);
    if (name == "--port") {
      options->port = value;
    } else if (name == "--count") {
      options->count = value;
    } else if (name == "--warmup") {
      options->warmup = value;
    } else if (name == "--workers") {
      options->workers = value;
    } else {
      return false;
    }
  }
  options->body_file = argv[argc - 1];
  return argc % 2 == 0 && options->port > 0 && options->count > 0 && options->workers > 0;
}

class Client {
 public:
  Client(const Options& options, std::string request)
      : options_(options), request_(std::move(request)) {}

  void run() {
    if (!connect_to(options_.port)) {
      failed_ = options_.count;
      return;
    }
    for (int i = -options_.warmup; i < options_.count; ++i) {
      const auto start = Clock::now();
      const bool passed = ask();
      if (i < 0) continue;
      samples_.push_back(microseconds(Clock::now() - start));
      if (!passed) ++failed_;
    }
    ::close(fd_);
  }

  const std::vector<double>& samples() const { return samples_; }
  int failed() const { return failed_; }

 private:
  bool connect_to(int port) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  bool ask() {
    if (::send(fd_, request_.data(), request_.size(), MSG_NOSIGNAL) != std::ssize(request_)) {
      return false;
    }
    answer_.clear();
    std::size_t whole = 0;
    while (whole == 0 || answer_.size() < whole) {
      char buffer[64 * 1024];
      const ssize_t count = ::recv(fd_, buffer, sizeof buffer, 0);
      if (count <= 0) return false;
      answer_.append(buffer, static_cast<std::size_t>(count));
      if (whole == 0) whole = find_size();
    }
    return answer_.starts_with("HTTP/1.1 200") &&
           answer_.find("\"outcome\":\"exited\",\"exit_code\":0") != std::string::npos;
  }

  // Of head and body together; 0 while the head is not there.
  std::size_t find_size() const {
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const std::size_t end = answer_.find("\r\n\r\n");
    const std::size_t at = answer_.find(kLength);
    if (end == std::string::npos || at == std::string::npos) return 0;
    std::size_t length = 0;
    const char* const digits = answer_.data() + at + kLength.size();
    std::from_chars(digits, answer_.data() + end, length);
    return end + 4 + length;
  }

  const Options& options_;
  const std::string request_;
  int fd_ = -1;
  std::string answer_;
  std::vector<double> samples_;
  int failed_ = 0;
};

std::string make_request(const Options& options) {
  std::ifstream file(options.body_file, std::ios::binary);
  std::stringstream body;
  body << file.rdbuf();
  const std::string text = body.str();
  return "POST " + options.path +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(text.size()) + "\r\n\r\n" + text;
}

int measure(const Options& options) {
  const std::string request = make_request(options);
  std::vector<Client> clients;
  for (int i = 0; i < options.workers; ++i) clients.emplace_back(options, request);
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < clients.size(); ++i) {
      threads.emplace_back([&client = clients[i]] { client.run(); });
    }
    clients.front().run();
  }
  const double wall_s = microseconds(Clock::now() - start) / 1e6;
  int failed = 0;
  const char* separator = "";
  std::printf("{\"wall_s\": %.6f, \"samples_us\": [", wall_s);
  for (const Client& client : clients) {
    failed += client.failed();
    for (const double sample : client.samples()) {
      std::printf("%s%.1f", separator, sample);
      separator = ", ";
    }
  }
  std::printf("], \"failed\": %d}\n", failed);
  return 0;
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  airlock::bench::Options options;
  if (!airlock::bench::parse_options(argc, argv, &options)) {
    std::fputs(
        "usage: bench-http --port P --count N [--warmup W] [--workers C] [--path P] BODY-FILE\n",
        stderr);
    return 2;
  }
  return airlock::bench::measure(options);
}
