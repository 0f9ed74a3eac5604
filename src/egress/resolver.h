// Resolver: the addresses of a name, asked of name servers and nobody else.
//
// No hosts file, no search domains, no cache of our own: what is connected to is what was answered
// just now, and each answer is checked by whoever asks. Those who ask for a name while others wait
// for it get the same answer. Bounded in time and in addresses. For the
// one thread that runs `context`; what waits when this is destroyed is told that it failed.
#pragma once

#include <ares.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "egress/address.h"

namespace airlock::egress {

inline constexpr std::size_t kAddressesMax = 16;  // of one name; others are left out

struct Resolved {
  std::vector<Address> addresses;  // IPv4 first
  std::string failure;             // if there are none: "the name does not exist", ...
  bool timed_out = false;
};

class Resolver {
 public:
  // `servers`: "ip" or "ip:port" each; none: those of /etc/resolv.conf, which is read again when a
  // while has passed.
  static base::Result<std::unique_ptr<Resolver>> make(boost::asio::io_context& context,
                                                      const std::vector<std::string>& servers);
  Resolver(boost::asio::io_context& context, std::string servers);  // for make()
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  boost::asio::awaitable<Resolved> resolve(std::string name);

 private:
  struct Watch;
  struct Query;

  base::Status open();
  void close();
  std::shared_ptr<Query> ask(const std::string& name);
  static void on_socket(void* self, ares_socket_t fd, int readable, int writable);
  static void on_answer(void* query, int status, int timeouts, ares_addrinfo* found);
  void wait(const std::shared_ptr<Watch>& watch, bool for_reading);
  void process(ares_socket_t readable, ares_socket_t writable);
  void set_timer();

  boost::asio::io_context& context_;
  const std::string servers_;
  ares_channel channel_ = nullptr;
  std::chrono::steady_clock::time_point opened_{};
  std::map<std::string, std::shared_ptr<Query>> asking_;
  std::map<ares_socket_t, std::shared_ptr<Watch>> watches_;
  boost::asio::steady_timer timer_;
};

}  // namespace airlock::egress
