#include "egress/gateway.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace airlock::egress {
namespace {

using base::UniqueFd;
using std::string_literals::operator""s;

constexpr int kPatienceMs = 10'000;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

UniqueFd listen_anywhere() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(0);
  // Why safe: sockaddr_in is what the family says.
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), 512), 0);
  return fd;
}

std::uint16_t port_of(const UniqueFd& listener) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

void send_text(const UniqueFd& fd, const std::string& text) {
  EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

// What comes until `wanted` has been seen, or the end, or for too long nothing.
std::string receive(const UniqueFd& fd, const std::string& wanted) {
  std::string text;
  std::array<char, 4096> buffer;
  while (wanted.empty() || text.find(wanted) == std::string::npos) {
    pollfd set = {fd.get(), POLLIN, 0};
    if (::poll(&set, 1, kPatienceMs) <= 0) return text + "<nothing more came>";
    const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;
}

bool has_ended(const UniqueFd& fd) {
  pollfd set = {fd.get(), POLLIN, 0};
  char byte = 0;
  return ::poll(&set, 1, kPatienceMs) > 0 && ::recv(fd.get(), &byte, 1, 0) <= 0;
}

// A gateway with one session, to a server that the operator opened by its address.
class GatewayTest : public testing::Test {
 protected:
  GatewayTest() : server_(listen_anywhere()), server_port_(port_of(server_)) {}

  Session serve(Budget budget = {}) {
    auto policy = Policy::make({.allow = {"allowed.test"}, .private_destinations = {target()}});
    EXPECT_TRUE(policy);
    UniqueFd listener = listen_anywhere();
    port_ = port_of(listener);
    auto session = gateway_.serve(std::move(listener), std::move(*policy), budget);
    EXPECT_TRUE(session);
    return std::move(*session);
  }
  std::string target() const { return "127.0.0.1:" + std::to_string(server_port_); }
  UniqueFd client() const { return connect_to(port_); }
  UniqueFd accept() const { return UniqueFd(::accept4(server_.get(), nullptr, nullptr, 0)); }
  std::string connect_text() const { return "CONNECT " + target() + " HTTP/1.1\r\n\r\n"; }

  base::SystemClock clock_;
  UniqueFd server_;
  std::uint16_t server_port_;
  std::uint16_t port_ = 0;
  Gateway gateway_{{.dns_servers = {"127.0.0.1:9"}}, clock_};
};

TEST_F(GatewayTest, ATunnelCarriesBytesBothWaysAndTheirEnds) {
  Session session = serve();
  const UniqueFd guest = client();
  send_text(guest, connect_text() + "early");
  const UniqueFd peer = accept();
  EXPECT_NE(receive(guest, "\r\n\r\n").find(" 200 "), std::string::npos);
  EXPECT_EQ(receive(peer, "early"), "early");
  send_text(peer, "answer");
  EXPECT_EQ(receive(guest, "answer"), "answer");
  ::shutdown(guest.get(), SHUT_WR);
  EXPECT_EQ(receive(peer, ""), "");
  send_text(peer, "later");
  ::shutdown(peer.get(), SHUT_WR);
  EXPECT_EQ(receive(guest, ""), "later");
  const auto record = session.record();
  ASSERT_EQ(record.size(), 1u);
  EXPECT_TRUE(record[0].allowed);
  EXPECT_EQ(record[0].connections, 1u);
  EXPECT_EQ(record[0].bytes_out, 5u);
  EXPECT_EQ(record[0].bytes_in, 11u);
}

TEST_F(GatewayTest, MuchGoesThroughWhole) {
  Session session = serve();
  const UniqueFd guest = client();
  send_text(guest, connect_text());
  const UniqueFd peer = accept();
  receive(guest, "\r\n\r\n");
  constexpr std::size_t kBytes = 32 << 20;
  std::thread sender([&] {
    std::string piece(100'000, 'x');
    for (std::size_t sent = 0; sent < kBytes;) {
      for (std::size_t i = 0; i < piece.size(); i += 1'000) {
        piece[i] = static_cast<char>((sent + i) / 1'000 % 251);
      }
      const std::size_t size = std::min(piece.size(), kBytes - sent);
      send_text(peer, piece.substr(0, size));
      sent += size;
    }
    ::shutdown(peer.get(), SHUT_WR);
  });
  const std::string all = receive(guest, "");
  sender.join();
  ASSERT_EQ(all.size(), kBytes);
  for (std::size_t i = 0; i < all.size(); i += 1'000) {
    ASSERT_EQ(all[i], static_cast<char>(i / 1'000 % 251)) << i;
  }
}

TEST_F(GatewayTest, ARefusalIsAnsweredAndInTheRecord) {
  Session session = serve();
  const UniqueFd guest = client();
  send_text(guest, "CONNECT forbidden.test:443 HTTP/1.1\r\n\r\n");
  const std::string answer = receive(guest, "");
  EXPECT_NE(answer.find("403 not in the allow-list"), std::string::npos) << answer;
  EXPECT_NE(answer.find("fix: "), std::string::npos) << answer;
  ASSERT_EQ(session.denials().size(), 1u);
  EXPECT_EQ(session.denials()[0].what, "connect forbidden.test:443");
  EXPECT_FALSE(session.record()[0].allowed);
}

TEST_F(GatewayTest, WhatAllSessionsDidIsCountedAndStays) {
  {
    Session session = serve();
    const UniqueFd guest = client();
    send_text(guest, connect_text() + "early");
    const UniqueFd peer = accept();
    receive(peer, "early");
    send_text(peer, "answer");
    receive(guest, "answer");
  }
  Session session = serve();
  const UniqueFd guest = client();
  send_text(guest, "CONNECT forbidden.test:443 HTTP/1.1\r\n\r\n");
  receive(guest, "");
  const GatewayTotals totals = gateway_.totals();
  EXPECT_EQ(totals.connected, 1u);
  EXPECT_EQ(totals.refused, 1u);
  EXPECT_EQ(totals.failed, 0u);
  EXPECT_EQ(totals.bytes_out, 5u);
  EXPECT_EQ(totals.bytes_in, 6u);
}

TEST_F(GatewayTest, SocksIsServedAtTheSamePort) {
  Session session = serve();
  const UniqueFd guest = client();
  send_text(guest, "\x05\x01\x00"s);
  EXPECT_EQ(receive(guest, "\x05\x00"s), "\x05\x00"s);
  send_text(guest, "\x05\x01\x00\x01\x7f\x00\x00\x01"s + static_cast<char>(server_port_ >> 8) +
                       static_cast<char>(server_port_ & 0xff) + "hi");
  const UniqueFd peer = accept();
  EXPECT_EQ(receive(peer, "hi"), "hi");
  EXPECT_EQ(receive(guest, std::string(6, '\0')).substr(0, 2), "\x05\x00"s);
}

TEST_F(GatewayTest, PlainRequestsAreJudgedOneByOne) {
  Session session = serve();
  const UniqueFd guest = client();
  const std::string head = " HTTP/1.1\r\nHost: " + target() + "\r\nX: y\r\n";
  send_text(guest, "POST http://" + target() + "/a" + head + "Content-Length: 4\r\n\r\nbody" +
                       "GET http://forbidden.test/ HTTP/1.1\r\nHost: forbidden.test\r\n\r\n" +
                       "GET http://" + target() + "/b" + head + "\r\n");
  {
    const UniqueFd peer = accept();
    const std::string request = receive(peer, "body");
    EXPECT_EQ(request.substr(0, 17), "POST /a HTTP/1.1\r") << request;
    EXPECT_NE(request.find("Connection: close"), std::string::npos);
    EXPECT_EQ(request.find("forbidden"), std::string::npos);
    send_text(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  }
  const std::string both = receive(guest, "fix: ");
  EXPECT_NE(both.find("200 OK"), std::string::npos) << both;
  EXPECT_LT(both.find("abc\r\n0\r\n\r\n"), both.find(" 403 ")) << both;
  const UniqueFd peer = accept();
  EXPECT_EQ(receive(peer, "\r\n\r\n").substr(0, 7), "GET /b ");
  send_text(peer, "HTTP/1.0 200 OK\r\n\r\nuntil the end");
  ::shutdown(peer.get(), SHUT_RDWR);
  EXPECT_NE(receive(guest, "").find("until the end"), std::string::npos);
}

TEST_F(GatewayTest, WhatAServerDidInPlaceOfAnAnswerIsSaid) {
  Session session = serve({.idle_timeout = std::chrono::milliseconds(300)});
  const std::string request =
      "GET http://" + target() + "/ HTTP/1.1\r\nHost: " + target() + "\r\n\r\n";
  const auto ask = [&](const std::string& said, bool closes) {
    const UniqueFd guest = client();
    send_text(guest, request);
    UniqueFd peer = accept();
    receive(peer, "\r\n\r\n");
    send_text(peer, said);
    if (closes) peer.reset();
    return receive(guest, "");
  };
  EXPECT_NE(ask("", false).find(" 504 the server did not answer within 300.0 ms"),
            std::string::npos);
  EXPECT_NE(ask("HTTP/1.1 200", false).find(" 504 "), std::string::npos);
  EXPECT_NE(ask("", true).find(" 502 the server closed the connection without an answer"),
            std::string::npos);
  EXPECT_NE(ask("SSH-2.0-x\r\n\r\n", false).find(" 502 the server's answer is none of HTTP"),
            std::string::npos);
}

TEST_F(GatewayTest, BytesBeyondTheBudgetDoNotPass) {
  Session session = serve({.bytes_max = 10'000});
  const UniqueFd guest = client();
  send_text(guest, connect_text());
  const UniqueFd peer = accept();
  receive(guest, "\r\n\r\n");
  send_text(guest, std::string(9'000, 'a'));
  send_text(peer, std::string(500, 'b'));
  EXPECT_EQ(receive(guest, std::string(500, 'b')).size(), 500u);
  send_text(guest, std::string(9'000, 'c'));
  EXPECT_LE(receive(peer, "").size(), 9'500u);
  ASSERT_FALSE(session.denials().empty());
  EXPECT_NE(session.denials()[0].rule.find("budget"), std::string::npos);
  const UniqueFd second = client();
  send_text(second, connect_text());
  EXPECT_NE(receive(second, "").find("403 the budget"), std::string::npos);
}

TEST_F(GatewayTest, MoreConnectionsThanAllowedAreTurnedAwayWithTheReason) {
  Session session = serve({.connections_max = 2});
  const UniqueFd one = client();
  const UniqueFd two = client();
  send_text(one, "C");
  send_text(two, "C");
  const UniqueFd three = client();
  EXPECT_NE(receive(three, "").find("503 more than 2 connections"), std::string::npos);
}

TEST_F(GatewayTest, WhoSaysNothingIsLetGo) {
  Session session = serve({.header_timeout = std::chrono::milliseconds(200)});
  const UniqueFd slow = client();
  send_text(slow, "CONNECT ");
  EXPECT_NE(receive(slow, "").find(" 408 "), std::string::npos);
  EXPECT_TRUE(has_ended(client()));
}

TEST_F(GatewayTest, ATunnelThatIsSilentIsClosed) {
  Session session = serve({.idle_timeout = std::chrono::milliseconds(300)});
  const UniqueFd guest = client();
  send_text(guest, connect_text());
  const UniqueFd peer = accept();
  receive(guest, "\r\n\r\n");
  EXPECT_TRUE(has_ended(guest));
  EXPECT_TRUE(has_ended(peer));
}

TEST_F(GatewayTest, ClosingEndsListenerAndEverySocketAndCountsThem) {
  Session session = serve();
  std::vector<UniqueFd> guests;
  std::vector<UniqueFd> peers;
  for (int i = 0; i < 5; ++i) {
    guests.push_back(client());
    send_text(guests.back(), connect_text());
    peers.push_back(accept());
    receive(guests.back(), "\r\n\r\n");
  }
  const SessionEnd end = session.close();
  EXPECT_EQ(end.connections_closed, 5u);
  for (const UniqueFd& guest : guests) EXPECT_TRUE(has_ended(guest));
  for (const UniqueFd& peer : peers) EXPECT_TRUE(has_ended(peer));
  UniqueFd late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port_);
  EXPECT_NE(::connect(late.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(session.close().connections_closed, 0u);
  EXPECT_EQ(session.record().size(), 1u);
}

TEST_F(GatewayTest, SessionsDoNotShareWhatTheyMayUse) {
  Session first = serve({.bytes_max = 0});
  const std::uint16_t first_port = port_;
  Session second = serve();
  const UniqueFd poor = connect_to(first_port);
  send_text(poor, connect_text());
  EXPECT_NE(receive(poor, "").find(" 403 "), std::string::npos);
  const UniqueFd rich = client();
  send_text(rich, connect_text());
  EXPECT_NE(receive(rich, "\r\n\r\n").find(" 200 "), std::string::npos);
  EXPECT_TRUE(second.denials().empty());
}

TEST_F(GatewayTest, TakesNothingButAListener) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_FALSE(gateway_.serve(std::move(socket), Policy(), {}));
  EXPECT_FALSE(
      Gateway({.dns_servers = {"nonsense"}}, clock_).serve(listen_anywhere(), Policy(), {}));
}

}  // namespace
}  // namespace airlock::egress
