// bench-gateway: what the egress gateway costs, beside a connection without it.
//
//   bench-gateway [--rounds N] [--mebibytes M] [--connects C]
//
// A server, a client and a gateway in one process, over loopback. In each round the client takes M
// MiB from the server directly and through a tunnel, one after the other; C times it connects and
// exchanges one byte, in both ways. Prints one line,
//   {"direct_mib_s": m, "gateway_mib_s": m, "ratio": r,
//    "direct_connect_us": t, "gateway_connect_us": t, "overhead_us": t}
// with the medians of the rounds; the ratio is the median of those of each round.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "bench/measuring.h"
#include "egress/gateway.h"

namespace airlock::bench {
namespace {

using base::UniqueFd;

constexpr std::size_t kPieceBytes = 256 * 1'024;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

UniqueFd make_socket() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

struct Listener {
  UniqueFd fd = make_socket();
  std::uint16_t port = 0;

  Listener() {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    // Why safe: sockaddr_in is what its family says.
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd.get(), any, size) != 0 || ::listen(fd.get(), 128) != 0 ||
        ::getsockname(fd.get(), any, &size) != 0) {
      give_up("listen");
    }
    port = ntohs(address.sin_port);
  }
};

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd fd = make_socket();
  const sockaddr_in address = loopback(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    give_up("connect");
  }
  return fd;
}

// The first byte of a client says what it wants: 'e' its byte back, 'b' many bytes.
void serve(const UniqueFd& listener, std::size_t bytes) {
  const std::string piece(kPieceBytes, 'x');
  while (true) {
    const UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) return;
    char wish = 0;
    if (::recv(client.get(), &wish, 1, 0) != 1) continue;
    const std::size_t wanted = wish == 'b' ? bytes : 1;
    for (std::size_t sent = 0; sent < wanted;) {
      const ssize_t count =
          ::send(client.get(), piece.data(), std::min(piece.size(), wanted - sent), MSG_NOSIGNAL);
      if (count <= 0) break;
      sent += static_cast<std::size_t>(count);
    }
  }
}

struct Way {
  std::uint16_t port;   // where to connect to
  std::string request;  // what to say there before it is as if it were the server; may be empty
};

UniqueFd open(const Way& way) {
  UniqueFd fd = connect_to(way.port);
  if (way.request.empty()) return fd;
  if (::send(fd.get(), way.request.data(), way.request.size(), 0) < 0) give_up("send");
  std::string answer;
  std::array<char, 256> buffer;
  while (!answer.ends_with("\r\n\r\n")) {
    const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) give_up("answer of the gateway");
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
  if (answer.find(" 200 ") == std::string::npos) give_up(answer.c_str());
  return fd;
}

double mebibytes_per_second(const Way& way, std::size_t bytes) {
  const UniqueFd fd = open(way);
  const auto began = Clock::now();
  if (::send(fd.get(), "b", 1, 0) != 1) give_up("send");
  std::vector<char> buffer(kPieceBytes);
  std::size_t got = 0;
  while (got < bytes) {
    const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) give_up("receive");
    got += static_cast<std::size_t>(count);
  }
  return static_cast<double>(bytes) / (1 << 20) / (microseconds(Clock::now() - began) / 1e6);
}

double connect_us(const Way& way) {
  const auto began = Clock::now();
  const UniqueFd fd = open(way);
  char byte = 'e';
  if (::send(fd.get(), &byte, 1, 0) != 1 || ::recv(fd.get(), &byte, 1, 0) != 1) give_up("echo");
  return microseconds(Clock::now() - began);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

int run(int rounds, int mebibytes, int connects) {
  const std::size_t bytes = static_cast<std::size_t>(mebibytes) << 20;
  Listener server;
  std::thread serving([&] { serve(server.fd, bytes); });
  const base::SystemClock clock;
  egress::Gateway gateway({}, clock);
  const std::string target = "127.0.0.1:" + std::to_string(server.port);
  auto policy = egress::Policy::make({.private_destinations = {target}});
  Listener door;
  const Way through{door.port, "CONNECT " + target + " HTTP/1.1\r\n\r\n"};
  const Way direct{server.port, ""};
  auto session = gateway.serve(std::move(door.fd), std::move(*policy), {.bytes_max = ~0ull});
  if (!session) give_up("gateway");
  std::vector<double> direct_rates;
  std::vector<double> gateway_rates;
  std::vector<double> ratios;
  for (int i = 0; i < rounds; ++i) {
    direct_rates.push_back(mebibytes_per_second(direct, bytes));
    gateway_rates.push_back(mebibytes_per_second(through, bytes));
    ratios.push_back(gateway_rates.back() / direct_rates.back());
  }
  std::vector<double> direct_us;
  std::vector<double> gateway_us;
  for (int i = 0; i < connects; ++i) {
    direct_us.push_back(connect_us(direct));
    gateway_us.push_back(connect_us(through));
  }
  std::printf(
      "{\"direct_mib_s\": %.0f, \"gateway_mib_s\": %.0f, \"ratio\": %.2f, "
      "\"direct_connect_us\": %.0f, \"gateway_connect_us\": %.0f, \"overhead_us\": %.0f}\n",
      median(direct_rates), median(gateway_rates), median(ratios), median(direct_us),
      median(gateway_us), median(gateway_us) - median(direct_us));
  session->close();
  ::shutdown(server.fd.get(), SHUT_RDWR);
  serving.join();
  return 0;
}

}  // namespace
}  // namespace airlock::bench

int main(int argc, char** argv) {
  int rounds = 9;
  int mebibytes = 512;
  int connects = 1'000;
  const bool good = airlock::bench::parse_options(
      {argv + 1, argv + argc},
      {{"--rounds", &rounds}, {"--mebibytes", &mebibytes}, {"--connects", &connects}});
  if (!good || rounds < 1 || mebibytes < 1 || connects < 1) {
    std::fputs("usage: bench-gateway [--rounds N] [--mebibytes M] [--connects C]\n", stderr);
    return 2;
  }
  return airlock::bench::run(rounds, mebibytes, connects);
}
