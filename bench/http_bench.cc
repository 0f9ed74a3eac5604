// bench-http: runs asked for over HTTP, as a client with a kept connection does.
//
//   bench-http --port P --count N [--warmup W] [--workers C] [--path /v1/run] BODY-FILE
//
// C clients, each with a connection of its own, send the request in BODY-FILE N times and read the
// whole answer. A sample is the time from the first byte sent to the last one read. An answer that
// is no 200, or whose outcome is not "exited" with 0, counts as failed. Written against sockets,
// so that the client costs as little as it can. Prints what bench/measuring.h says, and what the
// service has told of its steps: "steps_us": {"parse": [...], "wait": [...], ...}.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/measuring.h"

namespace airlock::bench {
namespace {

constexpr std::size_t kErrorBytesMax = 400;

struct Options {
  int port = 0;
  int count = 0;
  int warmup = 0;
  int workers = 1;
  std::string path = "/v1/run";
  std::string body_file;
};

std::optional<Options> parse_words(int argc, char** argv) {
  Options options;
  if (argc < 2 || !parse_options({argv + 1, argv + argc - 1}, {{"--port", &options.port},
                                                               {"--count", &options.count},
                                                               {"--warmup", &options.warmup},
                                                               {"--workers", &options.workers},
                                                               {"--path", &options.path}})) {
    return std::nullopt;
  }
  if (options.port < 1 || options.count < 1 || options.workers < 1) return std::nullopt;
  options.body_file = argv[argc - 1];
  return options;
}

// Samples in microseconds by the names that the service has for its steps.
using Steps = std::map<std::string, std::vector<double>, std::less<>>;

// Takes "parse;dur=0.021, wait;dur=0.004" apart; what is not like that ends it.
void add_steps(std::string_view header, Steps* steps) {
  constexpr std::string_view kDuration = ";dur=";
  for (;;) {
    const std::size_t at = header.find(kDuration);
    if (at == std::string_view::npos) return;
    double ms = 0;
    const char* const digits = header.data() + at + kDuration.size();
    const auto [end, error] = std::from_chars(digits, header.data() + header.size(), ms);
    if (error != std::errc()) return;
    (*steps)[std::string(header.substr(0, at))].push_back(ms * 1'000);
    header.remove_prefix(static_cast<std::size_t>(end - header.data()));
    if (header.starts_with(", ")) header.remove_prefix(2);
  }
}

class Client {
 public:
  Client(const Options& options, std::string request)
      : options_(options), request_(std::move(request)) {}

  void run() {
    if (!connect_to(options_.port)) {
      samples_.failed = options_.count;
      samples_.error = "cannot connect";
      return;
    }
    for (int i = -options_.warmup; i < options_.count; ++i) {
      const auto start = Clock::now();
      const bool passed = ask();
      if (i < 0) continue;
      samples_.add(Clock::now() - start);
      if (!passed) samples_.fail(answer_.substr(0, kErrorBytesMax));
      add_steps(find_header("\r\nServer-Timing: "), &steps_);
    }
    ::close(fd_);
  }

  const Samples& samples() const { return samples_; }
  const Steps& steps() const { return steps_; }

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

  // "" if the head is not there, or has none of that name.
  std::string_view find_header(std::string_view name) const {
    const std::string_view head = std::string_view(answer_).substr(0, answer_.find("\r\n\r\n"));
    if (head.size() == answer_.size()) return {};
    const std::size_t at = head.find(name);
    if (at == std::string_view::npos) return {};
    const std::string_view value = head.substr(at + name.size());
    return value.substr(0, value.find('\r'));
  }

  // Of head and body together; 0 while the head is not there.
  std::size_t find_size() const {
    const std::string_view digits = find_header("\r\nContent-Length: ");
    std::size_t length = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), length);
    return digits.empty() ? 0 : answer_.find("\r\n\r\n") + 4 + length;
  }

  const Options& options_;
  const std::string request_;
  int fd_ = -1;
  std::string answer_;
  Samples samples_;
  Steps steps_;
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

std::string steps_text(const std::vector<Client>& clients) {
  Steps all;
  for (const Client& client : clients) {
    for (const auto& [name, samples] : client.steps()) {
      all[name].insert(all[name].end(), samples.begin(), samples.end());
    }
  }
  std::string text;
  for (const auto& [name, samples] : all) {
    text += (text.empty() ? "\"" : ", \"") + name + "\": [";
    for (const double sample : samples) {
      if (text.back() != '[') text += ", ";
      text += std::to_string(std::lround(sample));
    }
    text += "]";
  }
  return text;
}

int measure(const Options& options) {
  const std::string request = make_request(options);
  std::vector<Client> clients;
  for (int i = 0; i < options.workers; ++i) clients.emplace_back(options, request);
  const double wall_s = run_at_once(clients, [](Client& client) { client.run(); });
  print_samples("bench-http", clients, wall_s, ", \"steps_us\": {" + steps_text(clients) + "}");
  return 0;
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  const auto options = airlock::bench::parse_words(argc, argv);
  if (!options.has_value()) {
    std::fputs(
        "usage: bench-http --port P --count N [--warmup W] [--workers C] [--path P] BODY-FILE\n",
        stderr);
    return 2;
  }
  return airlock::bench::measure(*options);
}
